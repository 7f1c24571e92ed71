use clap::Parser;

use super::sample::made_up;
use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn options(arguments: &[&str]) -> Options {
    let mut all = vec!["compare", "--sundew", "/bin/true"];
    all.extend(arguments);
    Line::parse_from(all).options
}

fn planned(arguments: &[&str]) -> Result<Plan, String> {
    let options = options(arguments);
    let own = Own { program: options.sundew.clone(), driver: options.driver.clone() };
    plan(&options, &own, 20_000, &mut Vec::new())
}

#[test]
fn a_row_a_size_and_a_peer_can_be_chosen() {
    let plan =
        planned(&["--row", "connections,c", "--sizes", "8,64", "--peers", "sundew,sundew-epoll"])
            .expect("a plan");
    let cases: Vec<_> = plan.cases.iter().map(|it| (it.row.name, it.size)).collect();
    assert_eq!(cases, [("connections", 8), ("connections", 64), ("c", 64)]);
    assert_eq!(plan.peers, [Peer::Sundew, Peer::SundewEpoll]);
    assert_eq!(plan.rounds_of(&plan.cases[0]), 3);
}

#[test]
fn a_plan_that_cannot_be_done_says_what_is_wrong() {
    for (arguments, want) in [
        (&["--rows", "z"][..], "unknown row \"z\""),
        (&["--peers", "squid"], "unknown peer \"squid\""),
        (&["--rows", "a", "--sizes", "7"], "no row has any of the sizes"),
        (&["--sundew", "/no/such", "--peers", "sundew"], "cargo build --release"),
    ] {
        let why = if arguments.contains(&"--sundew") {
            let options = Line::parse_from([&["compare"], arguments].concat()).options;
            let own = Own { program: options.sundew.clone(), driver: "uring".into() };
            plan(&options, &own, 20_000, &mut Vec::new()).expect_err("no sundew")
        } else {
            planned(arguments).expect_err("wrong")
        };
        assert!(why.contains(want), "{arguments:?}: {why}");
    }
}

#[test]
fn connections_stay_below_the_limit_of_open_files() {
    assert_eq!(bounded(Unit::Connections, 20_000, 20_000), 17_800);
    assert_eq!(bounded(Unit::Connections, 64, 20_000), 64);
    assert_eq!(bounded(Unit::Routers, 10_000, 1024), 10_000);
}

#[test]
fn a_full_run_takes_at_most_twenty_minutes() {
    let options = options(&[]);
    let cases =
        ROWS.iter().flat_map(|row| row.sizes.iter().map(move |size| Case { row, size: *size }));
    let plan = Plan { cases: cases.collect(), peers: ALL.to_vec(), rounds: None };
    let minutes = plan.seconds(&options) / 60.0;
    assert!((10.0..=20.0).contains(&minutes), "{minutes}");
}

#[test]
fn a_busy_machine_is_refused_unless_somebody_insists() {
    assert_eq!(check_noise(0.01, false), Ok(None));
    let warning = check_noise(0.5, true).expect("somebody insists").expect("a warning");
    assert!(warning.contains("not quiet"), "{warning}");
    let why = check_noise(0.5, false).expect_err("busy");
    assert!(why.contains("50 %") && why.contains("--anyway"), "{why}");
}

#[test]
fn the_verdict_forgives_noise_and_nothing_else() {
    let case = Case { row: row::find("a").expect("a row"), size: 64 };
    for (costs, want) in [
        ([12.0, 12.5, 13.0], true),
        ([16.1, 17.0, 18.0], false),
        ([13.0, 16.5, 20.0], true),
        ([18.0, 18.0, 18.0], false),
    ] {
        let rounds = costs.iter().zip(0..).flat_map(|(us, round)| {
            [("sundew", *us), ("haproxy", 20.0)].map(|it| made_up("a", 64, round, it.0, it.1))
        });
        let samples: Vec<Sample> = rounds.collect();
        assert_eq!(verdict(&samples, &[case]), Ok(want), "{costs:?}");
    }
    let alone = [made_up("a", 64, 0, "sundew", 1.0)];
    assert!(verdict(&alone, &[case]).expect_err("nobody to compare with").contains("nginx"));
}
