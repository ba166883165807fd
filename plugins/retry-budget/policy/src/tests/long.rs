//! A ledger over a long time.

use super::START;
use crate::ledger::{Ledger, Rules};
use portcullis_core::time::Nanos;

/// A hundred requests in each of ten million seconds. Each retries up to twice, and every tenth returns its retries. A
/// float cannot represent 0.33 exactly: an error in a single step would occur a billion times.
#[test]
#[ignore = "takes up to two minutes: make soak"]
fn a_billion_steps_do_not_drift() {
    const STEPS: u64 = 1_000_000_000;
    let rules = Rules {
        ratio: 33,
        window: Nanos::from_secs(10),
        min_retries_per_second: 3,
    };
    let mut ledger = Ledger::default();
    let mut used = 0;
    for step in 0..STEPS {
        ledger = ledger.at(&rules, START + Nanos::SECOND / 100 * step);
        ledger.deposit();
        let reservation = ledger.withdraw(&rules, 2);
        match step % 10 {
            0 => ledger.refund(&reservation, reservation.retries()),
            _ => used += u64::from(reservation.retries()),
        }

        let (requests, seconds) = (step + 1, step / 100 + 1);
        let worth = requests * 33 / 100 + seconds * 3;
        assert!(used <= worth, "{used} of {worth} after {requests}");
        if requests % 100 == 0 {
            // Every retry is used, so at the end of a second none is left and none is lost.
            assert_eq!((used, ledger.balance(&rules)), (worth, 0), "{requests}");
        }
    }
    assert_eq!(used, 330_000_000 + 30_000_000);
    let later = START + Nanos::from_secs(STEPS / 100 + 10);
    assert_eq!(ledger.at(&rules, later).balance(&rules), 3);
}
