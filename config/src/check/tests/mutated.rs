//! Whatever a file says, nothing panics, and what comes out is valid by construction.

use proptest::prelude::*;

use super::*;
use crate::Severity;
use crate::model::{Model, RouterTarget, ServiceKind, StaticModel, StickyCookie};

const SEEDS: [&str; 5] = [
    include_str!("../../../examples/app.yml"),
    include_str!("../../../examples/weighted.yml"),
    include_str!("../../../examples/composite.yml"),
    include_str!("../../../examples/one-file.yml"),
    include_str!("../../../examples/traefik.yml"),
];

const PIECES: [&str; 24] = [
    "",
    " ",
    ":",
    "-",
    "{}",
    "[]",
    "*pinned",
    "<<:",
    "null",
    "true",
    "-1",
    "99999999999",
    "1.5",
    "'",
    "\"\\r\\n;\"",
    "http://",
    "app",
    "weighted:",
    "cookie",
    "&&",
    "@file",
    "\n",
    "é",
    "\t",
];

/// A seed with some of its values replaced, and sometimes a piece where it does not belong.
fn mutated() -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), prop::sample::select(PIECES.to_vec()), 0..8_u8);
    let changes = prop::collection::vec(change, 1..4);
    (prop::sample::select(SEEDS.to_vec()), changes).prop_map(|(seed, changes)| {
        let words = seed.split_inclusive([' ', '\n']);
        let mut words: Vec<String> = words.map(str::to_owned).collect();
        for (index, piece, kind) in changes {
            let at = index.index(words.len());
            let word = &mut words[at];
            let blank = word.split_off(word.trim_end().len());
            let is_value = !word.ends_with(':') && !matches!(word.as_str(), "" | "-" | "#");
            if is_value || kind == 0 {
                *word = piece.to_owned();
            }
            *word += &blank;
        }
        words.concat()
    })
}

fn assert_safe(cookie: Option<&StickyCookie>) {
    let Some(StickyCookie { name, path, domain, previous_names, .. }) = cookie else { return };
    let is_safe = |it: &String| it.bytes().all(|it| (b' '..=b'~').contains(&it) && it != b';');
    for name in std::iter::once(name).chain(previous_names) {
        assert!(!name.is_empty() && is_safe(name), "{name:?}");
    }
    assert!([path, domain].into_iter().flatten().all(is_safe), "{path:?} {domain:?}");
}

fn assert_valid(statics: &StaticModel, model: &Model) {
    assert!(!statics.entry_points.is_empty());
    for router in &model.routers {
        assert!(!router.entry_points.is_empty());
        let is_there = |it: &u16| usize::from(*it) < statics.entry_points.len();
        assert!(router.entry_points.iter().all(|it| is_there(&it.0)));
        if let RouterTarget::Service(index) = router.target {
            assert!(model.service(index).is_some());
        }
    }
    for (position, service) in model.services.iter().enumerate() {
        match &service.kind {
            ServiceKind::LoadBalancer(it) => {
                assert!(usize::from(it.transport.0) < model.transports.len());
                assert_safe(it.sticky.as_ref());
            }
            ServiceKind::Weighted(it) => assert_safe(it.sticky.as_ref()),
            ServiceKind::Mirroring(it) => {
                assert!(it.mirrors.iter().all(|it| it.percent <= 100));
            }
            ServiceKind::HighestRandomWeight(_) | ServiceKind::Failover(_) => {}
        }
        assert!(service.kind.children().iter().all(|it| it.as_usize() < position));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_mutated_file_is_refused_or_valid(text in mutated()) {
        let open = |options| with_file("f.yml", &text, |file| Loader::open(file, options)).0;
        let (strict, lenient) = (open(STRICT), open(LENIENT));
        if let Ok((_, lenient)) = &lenient {
            assert_valid(&lenient.statics, &lenient.model);
        }
        match strict {
            Ok((_, strict)) => {
                let (_, lenient) = lenient.unwrap();
                prop_assert_eq!(strict.model, lenient.model);
                prop_assert_eq!(strict.statics, lenient.statics);
            }
            Err(problems) => {
                prop_assert!(problems.iter().any(|it| it.severity == Severity::Error));
            }
        }
    }
}
