//! What the workers of a proxy may expect of a shared value.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use portcullis_dynamic_module::shared_values::SharedBytes;

#[test]
fn a_value_has_one_key() {
    let value = SharedBytes::open("one key");
    assert!(value.read().is_empty());
    value.update(&mut |bytes| {
        bytes.extend(b"document");
        true
    });
    assert_eq!(SharedBytes::open("one key").read(), b"document");
    for other in ["one keys", "one ke", ""] {
        assert!(SharedBytes::open(other).read().is_empty());
    }
}

#[test]
fn the_version_grows_with_each_change() {
    let value = SharedBytes::open("version");
    let mut last = value.version();
    for _ in 0..3 {
        value.update(&mut |bytes| {
            bytes.push(1);
            true
        });
        assert!(value.version() > last);
        last = value.version();
        value.update(&mut |bytes| {
            bytes.clear();
            false
        });
        assert_eq!(value.version(), last);
    }
    assert_eq!(value.read(), [1, 1, 1]);
}

#[test]
fn a_panic_within_an_edit_changes_nothing() {
    let value = SharedBytes::open("panic");
    value.update(&mut |bytes| {
        bytes.extend(b"before");
        true
    });
    let version = value.version();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        value.update(&mut |bytes| {
            bytes.clear();
            panic!("as intended");
        });
    }));
    assert!(panicked.is_err());
    assert_eq!(
        (value.read(), value.version()),
        (b"before".to_vec(), version)
    );
    value.update(&mut |bytes| {
        bytes.extend(b" and after");
        true
    });
    assert_eq!(value.read(), b"before and after");
}

/// Writers lose nothing, and a reader that has seen a version never has older bytes.
#[test]
fn workers_share_a_value() {
    const WRITES: u8 = 200;
    thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn(move || {
                let value = SharedBytes::open("race");
                for _ in 0..WRITES {
                    value.update(&mut |bytes| {
                        bytes.push(writer);
                        true
                    });
                }
            });
        }
        scope.spawn(|| {
            let value = SharedBytes::open("race");
            while value.read().len() < 4 * usize::from(WRITES) {
                let version = value.version();
                assert!(value.read().len() as u64 >= version);
                thread::yield_now();
            }
        });
    });
    let value = SharedBytes::open("race");
    assert_eq!(value.version(), 4 * u64::from(WRITES));
    for writer in 0..4 {
        let own = value.read().into_iter().filter(|byte| *byte == writer);
        assert_eq!(own.count(), usize::from(WRITES));
    }
}
