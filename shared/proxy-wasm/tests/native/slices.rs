//! Many waiting requests, which are judged in slices.

use std::time::Duration;

use proxy_wasm_native_host::{ClientStream, Host, Request};

use crate::gate::{gate, host, open_after};

/// The number of streams that are over.
fn over(streams: &mut [ClientStream]) -> usize {
    streams
        .iter_mut()
        .filter_map(|it| it.is_over().then_some(()))
        .count()
}

fn millisecond(host: &Host) {
    host.advance(Duration::from_millis(1));
}

#[test]
fn many_requests_are_woken_in_slices_the_oldest_first() {
    let host = host(gate(), || open_after(100));
    let mut streams: Vec<ClientStream> = (0..200).map(|_| host.open(Request::get("/"))).collect();
    let mut slices = Vec::new();
    for _ in 0..200 {
        let before = over(&mut streams);
        millisecond(&host);
        let after = over(&mut streams);
        assert!(streams.iter_mut().take(after).all(ClientStream::is_over));
        if after > before {
            slices.push(after - before);
            // A new request does not have to wait.
            assert_eq!(host.send(Request::get("/new")).status(), 200);
        }
    }
    assert_eq!(slices.iter().sum::<usize>(), 200);
    assert!(slices.len() >= 6, "{slices:?}");
    for stream in streams {
        let outcome = stream.outcome();
        assert_eq!(outcome.status(), 200);
        assert_eq!(outcome.filter_state("gate.looks"), Some(b"2".to_vec()));
    }
}

#[test]
fn a_client_that_disconnects_before_its_slice_is_left_out() {
    let host = host(gate(), || open_after(100));
    let mut streams: Vec<ClientStream> = (0..100).map(|_| host.open(Request::get("/"))).collect();
    while over(&mut streams) == 0 {
        millisecond(&host);
    }
    let first = over(&mut streams);
    assert!(first < 100, "{first}");
    for stream in streams.iter().skip(first).step_by(2) {
        stream.disconnect();
    }
    host.advance(Duration::from_millis(50));
    for (n, stream) in streams.into_iter().enumerate() {
        let left = n >= first && (n - first).is_multiple_of(2);
        assert_eq!(stream.outcome().upstream_request().is_none(), left, "{n}");
    }
}

/// More requests than a slice has. Each tick wakes all of them, and each has to wait again.
#[test]
fn none_is_judged_twice_before_another() {
    let gate = gate().config(r#"{"wake_each_tick_from": 100}"#);
    let host = host(gate, || open_after(500));
    let streams: Vec<ClientStream> = (0..100).map(|_| host.open(Request::get("/"))).collect();
    host.advance(Duration::from_secs(1));
    let looks: Vec<u32> = streams
        .into_iter()
        .map(|stream| {
            let looks = stream.outcome().filter_state("gate.looks").unwrap();
            String::from_utf8(looks).unwrap().parse().unwrap()
        })
        .collect();
    let (least, most) = (looks.iter().min().unwrap(), looks.iter().max().unwrap());
    assert!(*least > 3 && most - least <= 1, "from {least} to {most}");
}
