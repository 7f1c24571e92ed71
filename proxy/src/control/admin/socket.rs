//! The Unix socket of the API: for its owner alone from its first moment, and taken from a process
//! that is gone, never from one that lives.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A bound socket; its file goes with it.
#[derive(Debug)]
pub(super) struct OwnerSocket {
    path: PathBuf,
}

impl OwnerSocket {
    /// Listens at `path`.
    ///
    /// # Errors
    /// When somebody listens there, something else lies there, or the directory forbids it.
    pub(super) fn bind(path: &Path) -> io::Result<(Self, UnixListener)> {
        match UnixStream::connect(path) {
            Ok(_) => {
                return Err(io::Error::new(ErrorKind::AddrInUse, "another sundew listens there"));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // Left by a process that is gone.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused && is_socket(path) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                return Err(io::Error::new(ErrorKind::AlreadyExists, "it is not a socket"));
            }
            Err(error) => return Err(error),
        }
        // Under another name until nobody but the owner can open it.
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&beside)?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600))?;
        fs::rename(&beside, path)?;
        listener.set_nonblocking(true)?;
        Ok((Self { path: path.to_owned() }, listener))
    }
}

impl Drop for OwnerSocket {
    fn drop(&mut self) {
        // Gone already when somebody tidied up.
        let _ = fs::remove_file(&self.path);
    }
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_its_owners_and_leaves_with_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        let (socket, listener) = OwnerSocket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(OwnerSocket::bind(&path).is_err(), "somebody listens");
        drop(listener);
        let (again, _listener) = OwnerSocket::bind(&path).unwrap();
        std::mem::forget(socket);
        drop(again);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious");
        fs::write(&path, "text").unwrap();
        assert!(OwnerSocket::bind(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    }
}
