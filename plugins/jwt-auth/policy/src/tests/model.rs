//! The policy, compared with a model that has no caches.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Sends the token with this number and a good or a bad signature.
    Send { number: u64, is_good: bool },
    /// Lets time pass, or sets the wall clock back.
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..8_u64, any::<bool>()).prop_map(|(number, is_good)| Step::Send { number, is_good }),
        1 => (-200..300_i64).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// After any other requests, a request passes if and only if its token is valid now.
    #[test]
    fn caches_change_no_verdict(steps in vec(step(), 1..80), room in 0..6_u32) {
        let mut config = one_provider(json!({"clock_skew": "0s"}));
        config["cache"] = json!({"tokens": room});
        let mut world = World::new(config);
        for step in steps {
            match step {
                Step::Pass(seconds) => {
                    let wall = world.now.wall.get().saturating_add_signed(seconds);
                    world.now.wall = UnixSeconds::new(wall);
                }
                Step::Send { number, is_good } => {
                    let (nbf, exp) = (START + 20 * number, START + 20 * number + 100);
                    let claims = json!({"sub": number.to_string(), "nbf": nbf, "exp": exp});
                    let token = if is_good { token(claims) } else { forged(claims) };
                    let is_valid = is_good && (nbf..exp).contains(&world.now.wall.get());
                    prop_assert_eq!(world.judge(&token) == VERIFIED, is_valid);
                }
            }
        }
    }

    /// Arbitrary bytes anywhere get a reply, never a panic.
    #[test]
    fn any_bytes_are_answered(
        credentials in vec(any::<u8>(), 0..200),
        cookie in vec(any::<u8>(), 0..100),
        path in vec(any::<u8>(), 0..100),
    ) {
        let mut world = World::new(one_provider(json!({"from": [
            {"header": "authorization"}, {"cookie": "a"}, {"query": "a"},
        ]})));
        let mut headers = HeaderMap::new(vec![
            (":method".into(), "GET".into()),
            (":path".into(), [b"/?a=", &path[..]].concat().into()),
            ("authorization".into(), [b"Bearer ", &credentials[..]].concat().into()),
            ("cookie".into(), [b"a=", &cookie[..]].concat().into()),
        ]);
        let subject = Subject::new(&headers, b"");
        let World { policy, state, host, now, wait_status } = &mut world;
        let decision = policy.decide(&subject, state, *now, *wait_status, host);
        prop_assert!(policy.reply(&decision).is_some());
        policy.apply(&decision, &mut headers);
    }
}
