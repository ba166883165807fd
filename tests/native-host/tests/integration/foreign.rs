//! Foreign functions. The keys and signatures are OpenSSL's, and Envoy 1.40.0 gave the same answers.

use std::sync::Mutex;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::Status as SdkStatus;
use proxy_wasm_native_host::{Filter, Host, HostBuilder, Status};

/// Calls the function that its configuration names: `name`, a zero byte, and the argument. Leaves
/// the outcome in shared data.
struct Caller;

impl Context for Caller {}

impl RootContext for Caller {
    fn on_configure(&mut self, _: usize) -> bool {
        let config = self.get_plugin_configuration().unwrap();
        let name = config.iter().position(|byte| *byte == 0).unwrap();
        let (name, argument) = (&config[..name], &config[name + 1..]);
        let name = std::str::from_utf8(name).unwrap();
        let outcome = match hostcalls::call_foreign_function(name, Some(argument)) {
            Ok(answer) => [b"ok ", answer.unwrap_or_default().as_slice()].concat(),
            Err(status) => format!("status {}", status as u32).into_bytes(),
        };
        hostcalls::set_shared_data("outcome", Some(&outcome), None).is_ok()
    }
}

fn call_on(host: HostBuilder, name: &str, argument: &[u8]) -> Vec<u8> {
    let config = [name.as_bytes(), &[0], argument].concat();
    let init = || proxy_wasm::set_root_context(|_| Box::new(Caller));
    let host = host.filter(Filter::from_fn("caller", init).config(config));
    let host = host.start().unwrap();
    host.shared_data().read("", "outcome").unwrap()
}

fn message(fields: [&[u8]; 4]) -> Vec<u8> {
    let mut message = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        message.push((index as u8 + 1) << 3 | 2);
        let size = field.len();
        if size > 127 {
            message.push(size as u8 | 0x80);
            message.push((size >> 7) as u8);
        } else {
            message.push(size as u8);
        }
        message.extend_from_slice(field);
    }
    message
}

fn verify(fields: [&[u8]; 4]) -> Vec<u8> {
    call_on(Host::builder(), "verify_signature", &message(fields))
}

const TEXT: &[u8] = b"signed text";
const GOOD: &[u8] = b"ok \x08\x01";
const BAD: &[u8] = b"ok \x12\x26Failed to verify digest. Error code: 0";

const RSA: (&[u8], &[u8]) = (
    include_bytes!("../keys/rsa.der"),
    include_bytes!("../keys/rsa.sig"),
);
const P256: (&[u8], &[u8]) = (
    include_bytes!("../keys/p256.der"),
    include_bytes!("../keys/p256.sig"),
);
const P384: (&[u8], &[u8]) = (
    include_bytes!("../keys/p384.der"),
    include_bytes!("../keys/p384.sig"),
);

#[test]
fn signatures_are_really_verified() {
    for (hash, (key, signature)) in [("sha256", RSA), ("SHA256", P256), ("sha384", P384)] {
        let hash = hash.as_bytes();
        assert_eq!(verify([hash, key, signature, TEXT]), GOOD);
        assert_eq!(verify([hash, key, signature, b"other text"]), BAD);
        assert_eq!(verify([b"sha512", key, signature, TEXT]), BAD);
        assert_eq!(verify([hash, key, b"nonsense", TEXT]), BAD);
    }
    assert_eq!(verify([b"sha256", P256.0, RSA.1, TEXT]), BAD);
}

#[test]
fn what_cannot_be_verified_says_why() {
    let (key, signature) = RSA;
    let answer = verify([b"md5", key, signature, TEXT]);
    assert_eq!(answer, b"ok \x12\x15md5 is not supported.");
    let answer = verify([b"sha256", b"not a key", signature, TEXT]);
    assert_eq!(answer, b"ok \x12\x23Failed to initialize digest verify.");
    assert_eq!(verify([b"sha256", b"", signature, TEXT]), b"status 2");
    let answer = call_on(Host::builder(), "verify_signature", b"\xff\xff");
    assert_eq!(answer, b"status 2");
}

#[test]
fn a_test_can_add_and_remove_functions() {
    assert_eq!(call_on(Host::builder(), "reverse", b"abc"), b"status 1");
    let calls = Mutex::new(0);
    let host = Host::builder().foreign_function("reverse", move |argument: &[u8]| {
        *calls.lock().unwrap() += 1;
        match argument {
            b"" => Err(Status::BadArgument),
            argument => Ok(argument.iter().rev().copied().collect()),
        }
    });
    assert_eq!(call_on(host, "reverse", b"abc"), b"ok cba");
    let host = Host::builder().without_foreign_function("verify_signature");
    let not_found = format!("status {}", SdkStatus::NotFound as u32);
    assert_eq!(call_on(host, "verify_signature", b""), not_found.as_bytes());
}
