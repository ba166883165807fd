//! Models of how servers read a path, for tests. The code under test uses none of them.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "models of servers are tests"
)]

use proptest::prelude::*;

/// How a server reads a path.
type Read = fn(&str) -> String;

/// Servers and the paths that they read.
pub const ALL: [(&str, Read); 10] = [
    ("as sent", as_sent),
    ("gunicorn", decode),
    ("wsgiref", wsgiref),
    ("nginx", nginx),
    ("tomcat", tomcat),
    ("shiro", shiro),
    ("iis", iis),
    ("decoded twice", twice),
    ("whatwg", whatwg),
    ("gateway", behind_a_gateway),
];

fn as_sent(path: &str) -> String {
    path.to_owned()
}

/// Python's `urllib.parse.unquote`, nginx and most others.
pub fn decode(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut decoded = Vec::new();
    let mut i = 0;
    while i < bytes.len() {
        let digits = path.get(i + 1..i + 3);
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(|_| bytes[i] == b'%' && !path[i + 1..].starts_with('+')) {
            Some(byte) => {
                decoded.push(byte);
                i += 3;
            }
            None => {
                decoded.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn merged(path: &str) -> String {
    let mut path = path.to_owned();
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    path
}

/// RFC 3986, section 5.2.4.
pub fn resolved(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (i, segment) in segments.iter().enumerate() {
        let is_last = i + 1 == segments.len();
        match *segment {
            "." | ".." => {
                if *segment == ".." {
                    out.pop();
                }
                if is_last {
                    out.push("");
                }
            }
            segment => out.push(segment),
        }
    }
    format!("/{}", out.join("/"))
}

fn until<'p>(path: &'p str, end: &str) -> &'p str {
    path.find(|c| end.contains(c))
        .map_or(path, |at| &path[..at])
}

/// nginx: decoded once, slashes merged, dot segments resolved.
pub fn nginx(path: &str) -> String {
    resolved(&merged(&decode(path)))
}

/// Tomcat: without path parameters, then like nginx.
pub fn tomcat(path: &str) -> String {
    let segments = path.split('/').map(|segment| until(segment, ";"));
    nginx(&segments.collect::<Vec<_>>().join("/"))
}

/// Apache Shiro: decoded, cut at the first `;`, `\\` as a slash.
pub fn shiro(path: &str) -> String {
    let decoded = decode(path);
    resolved(&merged(&until(&decoded, ";").replace('\\', "/")))
}

/// IIS: decoded, `\` as a slash.
pub fn iis(path: &str) -> String {
    resolved(&decode(path).replace('\\', "/"))
}

/// A chain of two servers that both decode.
pub fn twice(path: &str) -> String {
    nginx(&decode(path))
}

/// The URL standard of browsers and Node.
pub fn whatwg(path: &str) -> String {
    let path = path.replace('\\', "/");
    let path = match path.strip_prefix("//") {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => &path,
    };
    let segments = path.split('/').map(|segment| {
        match segment.to_ascii_lowercase().replace("%2e", ".").as_str() {
            "." => ".",
            ".." => "..",
            _ => segment,
        }
    });
    resolved(&segments.collect::<Vec<_>>().join("/"))
}

/// Python's wsgiref: decoded, nothing resolved.
pub fn wsgiref(path: &str) -> String {
    decode(&format!("/{}", path.trim_start_matches('/')))
}

/// A gateway that resolves dot segments, in front of a server that decodes.
pub fn behind_a_gateway(path: &str) -> String {
    decode(&resolved(path))
}

/// Targets with many special bytes.
pub fn target() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => prop::sample::select(vec!["a", "admin", "public", "/", "/", "/../", "/./"]),
        2 => prop::sample::select(vec!["..", ".", "//", ";", ";v", "\\", "%2e", "%2E%2e", "%2f"]),
        1 => prop::sample::select(vec!["%5c", "%3b", "%61", "%252e", "%252f", "%2561", "%3f"]),
    ];
    prop::collection::vec(part, 0..7).prop_map(|parts| format!("/{}", parts.concat()))
}
