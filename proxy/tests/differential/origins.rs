//! The four origins: nginx, Node, Python and Caddy as processes on Unix sockets in a folder of
//! their own, each with a stream of reports. An origin that is not installed is left out.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::{env, fs, thread};

use serde_json::Value;

use super::ledger::{Markers, Seen, Witness};
use super::model::printable;
use super::recorder;
use super::support::eventually;

/// Every origin: the name of its entry point, and the program that it needs.
pub(crate) const ALL: &[(&str, &str)] =
    &[("nginx", "nginx"), ("node", "node"), ("python", "python3"), ("caddy", "caddy")];

/// A running origin; killed when dropped.
pub(crate) struct Origin {
    pub(crate) name: &'static str,
    pub(crate) reports: Receiver<Seen>,
    socket: PathBuf,
    child: Child,
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a program can be started, by its name in `PATH`.
pub(crate) fn is_installed(program: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    // Debian keeps nginx where only root looks.
    env::split_paths(&folders)
        .chain(["/usr/sbin".into()])
        .any(|folder: PathBuf| folder.join(program).is_file())
}

impl Origin {
    /// Starts the origin `name` in `folder`, and returns once it accepts.
    pub(crate) fn start(name: &'static str, folder: &Path) -> Self {
        let socket = folder.join(format!("{name}.sock"));
        let recorder = folder.join(format!("{name}-recorder.sock"));
        let (sender, reports) = channel();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential");
        let mut command = match name {
            "node" => {
                let mut command = Command::new("node");
                command.arg(sources.join("origin.js")).arg(&socket);
                command
            }
            "python" => {
                let mut command = Command::new("python3");
                command.arg(sources.join("origin.py")).arg(&socket);
                command
            }
            _ => {
                recorder::start(&recorder, sender.clone());
                configured(name, folder, &socket, &recorder)
            }
        };
        let errors = fs::File::create(folder.join(format!("{name}.err"))).expect("a file");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().expect("an installed program starts");
        gather(name, child.stdout.take().expect("stdout"), sender);
        let mut origin = Self { name, reports, socket, child };
        eventually(&format!("{name} accepts"), || {
            let ended = origin.child.try_wait().expect("a child");
            let errors = folder.join(format!("{name}.err"));
            assert!(ended.is_none(), "{name}: {}", fs::read_to_string(errors).expect("a file"));
            UnixStream::connect(&origin.socket).ok()
        });
        origin
    }

    /// A connection that the proxy knows nothing of.
    pub(crate) fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).expect("the origin accepts")
    }

    /// Of a server in a dynamic file.
    pub(crate) fn url(&self) -> String {
        format!("unix:{}", self.socket.display())
    }
}

/// nginx or Caddy, by a file.
fn configured(name: &str, folder: &Path, socket: &Path, recorder: &Path) -> Command {
    let text = if name == "nginx" { NGINX } else { CADDY };
    let text = text
        .replace("FOLDER", &folder.display().to_string())
        .replace("SOCKET", &socket.display().to_string())
        .replace("RECORDER", &recorder.display().to_string());
    let file = folder.join(format!("{name}.conf"));
    fs::write(&file, text).expect("a configuration");
    if name == "nginx" {
        let path = env::var("PATH").unwrap_or_default();
        let mut command = Command::new("nginx");
        command.env("PATH", format!("{path}:/usr/sbin"));
        command.arg("-p").arg(folder).arg("-e").arg(folder.join("nginx-error.log"));
        command.arg("-c").arg(file);
        return command;
    }
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    // Where it would keep certificates.
    command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
    command
}

/// One process, so that killing it ends all; large heads, because the proxy's limits are larger
/// than nginx's; no second attempt, which would look like a second request.
const NGINX: &str = r#"
daemon off;
master_process off;
pid FOLDER/nginx.pid;
error_log FOLDER/nginx-error.log crit;
events { worker_connections 1024; }
http {
  log_format seen escape=json '{"witness":"head","method":"$request_method",'
    '"target":"$request_uri","first":"$http_x_marker","status":"$status"}';
  access_log /dev/stdout seen;
  client_body_temp_path FOLDER/nginx-body;
  proxy_temp_path FOLDER/nginx-proxy;
  fastcgi_temp_path FOLDER/nginx-fastcgi;
  uwsgi_temp_path FOLDER/nginx-uwsgi;
  scgi_temp_path FOLDER/nginx-scgi;
  client_body_buffer_size 256k;
  client_max_body_size 0;
  large_client_header_buffers 8 128k;
  keepalive_timeout 3600s;
  keepalive_requests 1000000000;
  proxy_buffer_size 64k;
  proxy_buffers 8 64k;
  proxy_busy_buffers_size 128k;
  upstream recorder {
    server unix:RECORDER;
    keepalive 64;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
  }
  server {
    listen unix:SOCKET;
    location / {
      proxy_pass http://recorder;
      proxy_http_version 1.1;
      proxy_next_upstream off;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Understood-Target $request_uri;
    }
  }
}
"#;

const CADDY: &str = r#"
{
  admin off
  auto_https off
  servers {
    max_header_size 131072
    timeouts {
      idle 1h
    }
  }
}
http:// {
  bind unix/SOCKET
  log {
    output stdout
    format json
  }
  reverse_proxy unix/RECORDER {
    header_up X-Understood-Target {http.request.orig_uri}
    transport http {
      versions 1.1
      compression off
      keepalive 1h
      keepalive_idle_conns_per_host 128
    }
  }
}
"#;

fn gather(name: &'static str, stream: impl Read + Send + 'static, reports: Sender<Seen>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
            let seen = if name == "caddy" { from_caddy(&line) } else { Some(from_report(&line)) };
            if seen.is_some_and(|seen| reports.send(seen).is_err()) {
                return;
            }
        }
    });
}

fn text(value: &Value) -> String {
    printable(value.as_str().unwrap_or_default().as_bytes())
}

fn markers(value: &Value) -> Markers {
    Markers::All(value.as_array().map_or(Vec::new(), |it| it.iter().map(text).collect()))
}

/// An access log's line; anything else that Caddy says is no report.
fn from_caddy(line: &Value) -> Option<Seen> {
    let request = line.get("request")?;
    line.get("status")?;
    let witness = Witness::Head;
    let [method, target] = ["method", "uri"].map(|name| text(&request[name]));
    let markers = markers(&request["headers"]["X-Marker"]);
    Some(Seen { witness, method, target, markers, ..Seen::default() })
}

fn from_report(line: &Value) -> Seen {
    let witness = match line["witness"].as_str() {
        Some("body") => Witness::Body,
        // nginx logs what it could not read without a target.
        Some("head") if line["target"] != "" => Witness::Head,
        _ => Witness::Refused,
    };
    let markers = match (&line["first"], &line["status"]) {
        _ if witness == Witness::Refused => Markers::Unknown,
        (Value::Null, _) => markers(&line["markers"]),
        // nginx has refused the request, maybe before it came to its marker.
        (first, status) if first == "" && status != "200" => Markers::Unknown,
        (first, _) => Markers::First(text(first)),
    };
    Seen {
        witness,
        method: text(&line["method"]),
        target: text(&line["target"]),
        markers,
        body: (line["length"].as_u64().unwrap_or(0), text(&line["digest"])),
        trailers: line["trailers"].as_u64().map_or(0, |it| usize::try_from(it).unwrap_or(0)),
    }
}
