//! The little of Redis's protocol that counting needs.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// A Redis, with the connections that are not in use.
pub(crate) struct Redis {
    address: SocketAddr,
    idle: Mutex<Vec<BufReader<TcpStream>>>,
}

impl Redis {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            idle: Mutex::default(),
        }
    }

    /// Sends commands in one pipeline, and returns their replies, which must be integers.
    pub(crate) async fn pipeline(&self, commands: &[Vec<String>]) -> io::Result<Vec<u64>> {
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                BufReader::new(stream)
            }
        };
        match exchange(&mut connection, commands).await {
            Ok(replies) => {
                self.idle().push(connection);
                Ok(replies)
            }
            Err(error) => {
                // If Redis was restarted, the others are broken too.
                self.idle().clear();
                Err(error)
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<BufReader<TcpStream>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn exchange<S: AsyncBufRead + AsyncWrite + Unpin>(
    stream: &mut S,
    commands: &[Vec<String>],
) -> io::Result<Vec<u64>> {
    let mut request = String::new();
    for words in commands {
        request += &format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
    }
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut replies = Vec::new();
    for _ in commands {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let number = line
            .strip_prefix(':')
            .and_then(|rest| rest.trim_end().parse().ok());
        replies.push(number.ok_or_else(|| io::Error::other(format!("Redis replied {line:?}")))?);
    }
    Ok(replies)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// What Redis receives, and the result, if Redis replies with this.
    async fn exchanged(reply: &str) -> (String, io::Result<Vec<u64>>) {
        let (mut redis, client) = tokio::io::duplex(1024);
        redis.write_all(reply.as_bytes()).await.unwrap();
        redis.shutdown().await.unwrap();
        let command = |words: [&str; 3]| words.map(str::to_owned).to_vec();
        let commands = [
            command(["INCRBY", "ключ\r\n", "5"]),
            command(["EXPIRE", "a", "60"]),
        ];
        let mut client = BufReader::new(client);
        let result = exchange(&mut client, &commands).await;
        drop(client);
        let mut received = String::new();
        redis.read_to_string(&mut received).await.unwrap();
        (received, result)
    }

    #[tokio::test]
    async fn commands_are_sent_in_one_pipeline() {
        let (received, result) = exchanged(":12\r\n:1\r\n").await;
        assert_eq!(
            received,
            "*3\r\n$6\r\nINCRBY\r\n$10\r\nключ\r\n\r\n$1\r\n5\r\n\
             *3\r\n$6\r\nEXPIRE\r\n$1\r\na\r\n$2\r\n60\r\n"
        );
        assert_eq!(result.unwrap(), [12, 1]);
    }

    #[tokio::test]
    async fn an_error_and_a_missing_reply_are_errors() {
        for reply in ["-ERR no\r\n:1\r\n", ":12\r\n", ""] {
            let (_, result) = exchanged(reply).await;
            assert!(result.is_err(), "{reply:?}");
        }
    }
}
