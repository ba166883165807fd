//! A real Redis, from `tests/redis-server`.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, ExitStatus};
use std::time::Instant;

use tempfile::TempDir;

use crate::artifacts;
use crate::patience::{PATIENCE, POLL_INTERVAL};
use crate::process::Process;

/// The status of `tests/redis-server` on a machine that has no Redis and cannot fetch it.
const UNAVAILABLE: i32 = 69;
/// Another process may take a port before Redis listens there.
const ATTEMPTS: usize = 5;

/// A running Redis on a loopback port, empty at first and without files. Dropping it ends it.
pub struct Redis {
    address: SocketAddr,
    _process: Process,
    _directory: TempDir,
}

impl Redis {
    /// Starts it. `None` if this machine cannot have a Redis; the reason is printed.
    ///
    /// # Panics
    /// If it does not start, or with `REQUIRE_ALL` in the environment also if this machine cannot have it.
    pub fn start() -> Option<Self> {
        for _ in 0..ATTEMPTS {
            match Self::try_start() {
                Ok(redis) => return Some(redis),
                Err(status) if status.code() == Some(UNAVAILABLE) => {
                    assert!(
                        std::env::var_os("REQUIRE_ALL").is_none_or(|value| value.is_empty()),
                        "there is no Redis"
                    );
                    eprintln!(
                        "skipped, because Redis is not installed, and Debian's cannot be fetched"
                    );
                    return None;
                }
                Err(_) => {}
            }
        }
        panic!("Redis did not start in {ATTEMPTS} attempts")
    }

    /// The exit status, if it has ended instead.
    fn try_start() -> Result<Self, ExitStatus> {
        let directory = TempDir::new().expect("a temporary directory");
        let address = unused_address();
        let mut command = Command::new(artifacts::repository().join("tests/redis-server"));
        command.arg(address.port().to_string());
        let process = Process::start("Redis", command, directory.path());
        let mut process = process.unwrap_or_else(|error| panic!("tests/redis-server: {error}"));
        let started = Instant::now();
        // It may have to be fetched first.
        while started.elapsed() < 3 * PATIENCE {
            if let Ok(Some(status)) = process.exit_status() {
                return Err(status);
            }
            if command_at(address, "PING").is_ok_and(|reply| reply == "+PONG") {
                return Ok(Self {
                    address,
                    _process: process,
                    _directory: directory,
                });
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        panic!("Redis does not answer; its log is {}", process.log())
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forgets everything, like a Redis that was restarted.
    ///
    /// # Panics
    /// If Redis does not answer.
    pub fn flush(&self) {
        assert_eq!(self.command("FLUSHALL"), "+OK");
    }

    /// The first line of the reply to a command, with its type: `:12`, `+OK`.
    ///
    /// # Panics
    /// If Redis does not answer.
    pub fn command(&self, command: &str) -> String {
        command_at(self.address, command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }
}

fn unused_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.expect("a port")
}

fn command_at(address: SocketAddr, command: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{command}\r\n")?;
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply)?;
    Ok(reply.trim_end().to_owned())
}
