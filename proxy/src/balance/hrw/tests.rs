use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn all(_: u16) -> bool {
    true
}

#[test]
fn choices_are_those_of_traefik() {
    // What Traefik 3.7.15 chose for clients at 127.0.0.1 to 127.0.0.40.
    let servers = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]
        .map(|host| format!("http://{host}:28081"));
    let weights = [1, 2, 1, 3];
    let members = (0..).zip(weights).zip(&servers).map(|((at, weight), it)| (at, weight, &**it));
    let hrw = Hrw::new(members);
    let got: String = (1..=40)
        .map(|host| hrw.choose(format!("127.0.0.{host}").as_bytes(), all).unwrap().to_string())
        .collect();
    assert_eq!(got, "1330331133113113330231311103212333001333");
    let services = Hrw::new([(0, 1, "s0"), (1, 2, "s1"), (2, 1, "s2"), (3, 3, "s3")]);
    for host in 1..=40 {
        assert_eq!(services.choose(format!("127.0.0.{host}").as_bytes(), all), Some(3));
    }
}

#[test]
fn nobody_eligible_is_nobody_chosen() {
    assert_eq!(Hrw::new([]).choose(b"key", all), None);
    assert_eq!(Hrw::new([(0, 0, "a")]).choose(b"key", all), None);
    assert_eq!(Hrw::new([(0, 1, "a")]).choose(b"key", |_| false), None);
}

#[test]
fn shares_follow_the_weights() {
    let hrw = Hrw::new([(0, 1, "http://10.0.0.1:80"), (1, 3, "http://10.7.0.2:8080")]);
    let of_first = (0..20_000_u32)
        .filter(|key| hrw.choose(&key.wrapping_mul(2_654_435_761).to_le_bytes(), all) == Some(0));
    let share = of_first.count();
    assert!((4_500..5_500).contains(&share), "{share} of 20000");
}

proptest! {
    #[test]
    fn only_the_keys_of_a_member_that_leaves_move(
        keys in prop::collection::vec("[0-9a-f.:]{1,20}", 1..50),
        weights in prop::collection::vec(1u32..9, 2..9),
        leaver in 0u16..9,
    ) {
        let names: Vec<String> = (0..weights.len()).map(|it| format!("http://10.0.{it}.1")).collect();
        let members = (0..).zip(&weights).zip(&names).map(|((at, weight), name)| (at, *weight, &**name));
        let hrw = Hrw::new(members);
        let leaver = leaver % u16::try_from(weights.len()).unwrap();
        let before: HashMap<_, _> =
            keys.iter().map(|key| (key, hrw.choose(key.as_bytes(), all).unwrap())).collect();
        for (key, member) in before {
            let after = hrw.choose(key.as_bytes(), |it| it != leaver).unwrap();
            prop_assert!(after != leaver);
            prop_assert!(after == member || member == leaver);
        }
    }
}
