//! The real connection code on an event loop of its own, between scripted clients and servers.
//!
//! A script is bytes: one with the high bit is an action, those that follow are what it sends. So
//! any bytes are a script, and a byte more or less shifts nothing.

use std::future::{Future, poll_fn};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use monoio::time::TimeDriver;
use monoio::{LegacyDriver, Runtime, RuntimeBuilder};
use socket2::SockRef;
use sundew::cluster::{Build, ServerFacts, SharedInFlight, Tables};
use sundew::conn::cap::Caps;
use sundew::conn::local::{EntryPointLimits, Local, LocalOptions};
use sundew::conn::pressure::Pressure;
use sundew::conn::{self, Connection};
use sundew::http1::head::HeadLimits;
use sundew::http1::target::TargetPolicy;
use sundew::io::{Address, Stream, WakePipe, spawn};
use sundew::upstream::sweep_idle;
use sundew_config::load::{FlagOptions, from_flags};
use sundew_config::model::{Model, ServerIndex, ServiceIndex, StaticModel};

use crate::judge;
use crate::memory;
use crate::peers::{Client, Orders, Origin};

/// As small as scripts are, so that limits are met.
pub const HEAD_LIMITS: HeadLimits =
    HeadLimits { bytes_max: 2048, fields_max: 24, line_bytes_max: 1024 };

/// Of targets.
pub const POLICY: TargetPolicy =
    TargetPolicy { sanitize_path: true, encode_query_semicolons: false };

/// The authorities of the two servers.
pub const SERVERS: [&str; 2] = ["a.test", "b.test"];

const SERVICE: ServiceIndex = ServiceIndex(0);

/// Clients of one run, and actions.
const CLIENTS_MAX: usize = 6;
const ACTIONS_MAX: usize = 48;

/// Turns of the event loop after an action: enough to connect and to send.
const TURNS: usize = 3;

/// So often that many turns, and everything must have ended once both sides have closed; kernels
/// may be late, so time counts too.
const ROUNDS_MAX: usize = 16;
const PATIENCE: Duration = Duration::from_secs(5);

/// Memory of a connection with its exchange: two buffers for a body in each direction, two heads.
const CONNECTION_BYTES_MAX: isize = 192 * 1024;
/// Everything else: tables, the event loop.
const BASE_BYTES_MAX: isize = 128 * 1024;

/// What a client's socket takes in, on either end: small, so that a client that does not read
/// stops the proxy soon.
const CLIENT_SOCKET_BYTES: usize = 4096;

/// Longest segment to a client: several must fit into its socket, or the kernel would wait for a
/// timer before it sends into a window that has just opened.
const CLIENT_SEGMENT_BYTES: u32 = 512;

/// What is made once for all runs.
pub struct Stage {
    runtime: Runtime<TimeDriver<LegacyDriver>>,
    parts: Parts,
}

struct Parts {
    statics: StaticModel,
    model: Arc<Model>,
    /// Of the servers.
    listeners: [TcpListener; 2],
    /// Where clients come from.
    door: TcpListener,
    waker: UnixStream,
    wake: Option<WakePipe>,
}

/// One run.
struct Play<'a> {
    parts: &'a mut Parts,
    local: Rc<Local>,
    entry: Rc<EntryPointLimits>,
    clients: Vec<Client>,
    origins: Vec<Origin>,
    orders: Orders,
    /// How far the sweeper's clock is ahead of the worker's.
    ahead_ms: u64,
}

impl Default for Stage {
    fn default() -> Self {
        let flags = FlagOptions {
            listen: vec![String::from("127.0.0.1:0")],
            servers: SERVERS.iter().map(|name| format!("http://{name}")).collect(),
            sticky_cookie: Some(String::from("sid")),
        };
        let (statics, model) = from_flags(&flags).expect("a model");
        let listen = || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.set_nonblocking(true).expect("non-blocking");
            listener
        };
        let (waker, wakes) = UnixStream::pair().expect("a pair");
        wakes.set_nonblocking(true).expect("non-blocking");
        let builder = RuntimeBuilder::<LegacyDriver>::new().enable_timer();
        let mut runtime = builder.build().expect("an event loop");
        let wake = runtime.block_on(async { WakePipe::from_std(wakes).expect("a pipe") });
        let door = listen();
        door.set_nonblocking(false).expect("blocking");
        let sizes = SockRef::from(&door);
        sizes.set_send_buffer_size(CLIENT_SOCKET_BYTES).expect("a size");
        sizes.set_tcp_mss(CLIENT_SEGMENT_BYTES).expect("a size");
        let parts = Parts {
            statics,
            model: Arc::new(model),
            listeners: [listen(), listen()],
            door,
            waker,
            wake: Some(wake),
        };
        Self { runtime, parts }
    }
}

impl Stage {
    /// Plays a script and judges what was seen.
    pub fn run(&mut self, script: &[u8]) {
        let Self { runtime, parts } = self;
        // The lowest free descriptor moves when one is lost.
        let lowest = |parts: &Parts| parts.waker.try_clone().expect("a descriptor").as_raw_fd();
        let before = lowest(parts);
        memory::reset();
        let play = runtime.block_on(async {
            let mut play = Play::new(parts);
            for action in actions(script) {
                play.act(action).await;
                if play.orders.is_full() {
                    break;
                }
            }
            play.end().await;
            (play.clients, play.origins)
        });
        judge::check(&play.0, &play.1);
        drop(play);
        assert_eq!(lowest(parts), before, "a descriptor was lost");
    }
}

/// What one part of a script does.
#[derive(Clone, Copy)]
struct Action<'a> {
    code: u8,
    bytes: &'a [u8],
}

fn actions(script: &[u8]) -> impl Iterator<Item = Action<'_>> {
    let is_code = |byte: &u8| *byte >= 0x80;
    let first = script.iter().position(is_code).unwrap_or(script.len());
    let mut rest = &script[first..];
    let next = move || {
        let (code, tail) = rest.split_first()?;
        let length = tail.iter().position(is_code).unwrap_or(tail.len());
        let bytes = &tail[..length];
        rest = &tail[length..];
        Some(Action { code: *code, bytes })
    };
    std::iter::from_fn(next).take(ACTIONS_MAX)
}

impl<'a> Play<'a> {
    fn new(parts: &'a mut Parts) -> Self {
        let limits = &parts.statics.settings.limits;
        let entry_point = &parts.statics.entry_points[0];
        let mut entry = EntryPointLimits::new(0, entry_point, limits);
        entry.head = HEAD_LIMITS;
        entry.target = POLICY;
        entry.body_bytes_max = 512;
        entry.requests_max = 12;
        entry.tunnel_idle_ms = 60_000;
        entry.send_timeout_ms = 60_000;
        let local = Local::new(LocalOptions {
            index: 0,
            response_head: HEAD_LIMITS,
            tables: parts.tables(None),
            keeps_origin_fields: false,
            logs_internals: false,
            ping_terminating_status: 503,
            access_log: None,
            caps: Caps::default(),
            counted: None,
            on_connect_failed: Box::new(|_, _, _| {}),
            on_outcome: Box::new(|_, _, _, _| {}),
        });
        Self {
            parts,
            local: Rc::new(local),
            entry: Rc::new(entry),
            clients: Vec::new(),
            origins: Vec::new(),
            orders: Orders::default(),
            ahead_ms: 0,
        }
    }

    /// Bit 6: at once with the next one. Bits 4 and 5: which connection. The rest: what.
    async fn act(&mut self, action: Action<'_>) {
        let Action { code, bytes } = action;
        let place = usize::from(code >> 4 & 3);
        match code & 15 {
            0..6 => self.act_as_client(code & 15, place, bytes),
            6..13 => self.act_as_origin(code & 15, place, bytes),
            _ => self.act_as_operator(code & 15, place, bytes),
        }
        if code & 0x40 == 0 {
            self.run_on().await;
        }
    }

    fn act_as_client(&mut self, what: u8, place: usize, bytes: &[u8]) {
        if what < 2 {
            return self.client(place, what == 1).map_or((), |it| it.send(bytes));
        }
        let Some(client) = self.client(place, false) else { return };
        match what {
            2 => client.finish(),
            3 => client.close(),
            4 => client.reset(),
            _ => client.toggle_reading(),
        }
    }

    fn act_as_origin(&mut self, what: u8, place: usize, bytes: &[u8]) {
        let Self { origins, orders, .. } = self;
        // The newest first: it is the one that waits for something.
        let mut open = origins.iter_mut().rev().filter(|it| it.is_open());
        let Some(origin) = open.nth(place) else { return };
        match what {
            6 | 7 => origin.send(bytes, orders),
            8 => origin.finish(),
            9 => origin.close(orders),
            10 => origin.reset(),
            11 => origin.flood(bytes, orders),
            _ => origin.toggle_reading(),
        }
    }

    fn act_as_operator(&mut self, what: u8, place: usize, bytes: &[u8]) {
        match what {
            13 => {
                const STEPS_MS: [u64; 4] = [100, 300, 1_100, 30_000];
                self.ahead_ms += STEPS_MS[place];
                self.sweep();
            }
            14 => {
                let tables = Rc::clone(&self.local.tables.borrow());
                let index = u16::from(place % 2 == 1);
                let Some(server) = tables.server(SERVICE, ServerIndex(index)) else { return };
                let real = self.parts.address(usize::from(index));
                match bytes.len() {
                    0 => server.set_up(!server.is_up()),
                    1 => server.set_addresses(&Arc::from([])),
                    2 => server.set_addresses(&Arc::from([closed_address(), real])),
                    _ => server.set_addresses(&Arc::from([real])),
                }
            }
            _ if place == 3 => self.local.is_stopping.set(true),
            _ if place == 2 => {
                let next = [Pressure::None, Pressure::Tight, Pressure::Full];
                self.local.pressure.set(next[bytes.len() % 3]);
                self.local.shrink();
            }
            _ => {
                let before = Rc::clone(&self.local.tables.borrow());
                let tables = self.parts.tables(Some(&before));
                *self.local.tables.borrow_mut() = tables;
            }
        }
    }

    /// The client at a place; a new one where it `is_new` or there is none.
    fn client(&mut self, place: usize, is_new: bool) -> Option<&mut Client> {
        let open = self.clients.iter().filter(|it| it.is_open()).count();
        if (is_new || open == 0) && self.clients.len() < CLIENTS_MAX {
            self.open_client();
        }
        let open: Vec<&mut Client> = self.clients.iter_mut().filter(|it| it.is_open()).collect();
        let position = if is_new { open.len().checked_sub(1)? } else { place % open.len().max(1) };
        open.into_iter().nth(position)
    }

    fn open_client(&mut self) {
        let address = self.parts.door.local_addr().expect("an address");
        let socket = TcpStream::connect(address).expect("a connection");
        socket.set_nonblocking(true).expect("non-blocking");
        socket.set_nodelay(true).expect("nodelay");
        let _ = SockRef::from(&socket).set_recv_buffer_size(CLIENT_SOCKET_BYTES);
        let (accepted, _) = self.parts.door.accept().expect("a connection");
        accepted.set_nodelay(true).expect("nodelay");
        let number = u8::try_from(self.clients.len() + 1).expect("few clients");
        let ip = Ipv4Addr::new(10, 0, 0, number);
        self.clients.push(Client::new(socket, ip));
        let stream = Stream::from_std(accepted).expect("a stream");
        let peer = SocketAddr::from((ip, 1000));
        let local = Rc::clone(&self.local);
        let connection = Connection::new(local, Rc::clone(&self.entry), stream, peer);
        spawn(async move {
            assert!(conn::serve(connection).await, "a panic");
        });
    }

    /// Some turns of the event loop: whatever is ready is served, then everybody reads.
    async fn run_on(&mut self) {
        memory::count(true);
        for _ in 0..TURNS {
            self.parts.turn().await;
        }
        memory::count(false);
        let clients = isize::try_from(self.clients.len()).expect("few clients");
        let bytes_max = BASE_BYTES_MAX + clients * CONNECTION_BYTES_MAX;
        assert!(memory::grown() <= bytes_max, "{} bytes of memory", memory::grown());
        self.drain(false);
    }

    fn drain(&mut self, must: bool) {
        for listener in &self.parts.listeners {
            while let Ok((socket, _)) = listener.accept() {
                self.origins.push(Origin::new(socket));
            }
        }
        for client in &mut self.clients {
            client.drain(must);
        }
        for origin in &mut self.origins {
            origin.drain(must, &mut self.orders);
        }
    }

    fn sweep(&mut self) {
        self.local.clock.tick();
        let now_ms = self.local.clock.now_ms() + self.ahead_ms;
        self.local.watches.sweep(now_ms);
        let tables = Rc::clone(&self.local.tables.borrow());
        sweep_idle(&tables, now_ms, &mut Vec::new());
        self.local.buffers.trim();
    }

    /// Both sides close, and nothing is left.
    async fn end(&mut self) {
        for _ in 0..2 {
            self.run_on().await;
            self.drain(true);
        }
        // A FIN might wait behind bytes that the proxy cannot send.
        self.clients.iter_mut().for_each(Client::reset);
        let began = Instant::now();
        let mut rounds = 0;
        while !self.local.watches.is_empty() || rounds == 0 {
            let Self { origins, orders, .. } = &mut *self;
            origins.iter_mut().for_each(|origin| origin.close(orders));
            self.run_on().await;
            rounds += 1;
            if rounds > ROUNDS_MAX {
                std::thread::sleep(Duration::from_millis(1));
            }
            let left = self.local.watches.len();
            assert!(began.elapsed() < PATIENCE, "{left} connections go on without peers");
        }
        let Self { origins, orders, .. } = &mut *self;
        origins.iter_mut().for_each(|origin| origin.close(orders));
        // Servers that have closed leave nothing in the pool.
        self.sweep();
        let tables = Rc::clone(&self.local.tables.borrow());
        let idle: usize = tables.servers().map(|server| server.idle.borrow().len()).sum();
        assert_eq!(idle, 0, "connections in the pool that the servers have closed");
        self.run_on().await;
    }
}

/// Nobody listens on port 1 of this address.
fn closed_address() -> Address {
    SocketAddr::from(([127, 0, 0, 1], 1)).into()
}

impl Parts {
    fn address(&self, server: usize) -> Address {
        self.listeners[server].local_addr().expect("an address").into()
    }

    fn tables(&self, before: Option<&Tables>) -> Rc<Tables> {
        // The second server begins down: connections to one server are what others take over.
        let facts = [0, 1].map(|server| ServerFacts {
            is_up: server == 0,
            is_draining: false,
            addresses: Arc::from([self.address(server)]),
            in_flight: SharedInFlight::default(),
        });
        let build = Build {
            model: Arc::clone(&self.model),
            servers: &[facts.to_vec()],
            entry_points: 1,
            ping: None,
            scheduler_offset: 0,
        };
        Rc::new(Tables::new(&build, before))
    }

    /// The wake is asked for before it is sent, so the event loop looks at every descriptor once.
    async fn turn(&mut self) {
        let Some(wake) = &mut self.wake else { return };
        let mut waiting = pin!(wake.wait());
        let mut is_sent = false;
        poll_fn(|task| {
            let polled = waiting.as_mut().poll(task);
            if polled.is_pending() && !is_sent {
                is_sent = true;
                self.waker.write_all(&[1]).expect("a wake");
            }
            polled.map(|woken| woken.expect("a wake"))
        })
        .await;
    }
}
