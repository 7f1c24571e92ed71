use std::os::unix::fs::PermissionsExt;

use super::*;

const SERVICE: &str = "app@file";
const A: &str = "http://10.0.0.1";
const B: &str = "http://10.0.0.2";

fn drain(since: u64, deadline: Option<u64>) -> Standing {
    Standing { order: Order::Drain, since: moment(since), deadline: deadline.map(moment) }
}

#[test]
fn orders_survive_a_restart_in_a_file_of_the_owner() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let mut orders = Orders::load(Some(file.clone())).unwrap();
    orders.give(SERVICE, A, Some(drain(100, Some(160)))).unwrap();
    orders.give(SERVICE, B, Some(drain(100, None))).unwrap();
    orders.give(SERVICE, B, None).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let orders = Orders::load(Some(file)).unwrap();
    assert_eq!(orders.find(SERVICE, A), Some(drain(100, Some(160))));
    assert_eq!(orders.find(SERVICE, B), None);
    assert_eq!(orders.find("other@file", A), None);
}

#[test]
fn a_drain_becomes_down_at_its_deadline_and_not_before() {
    let mut orders = Orders::default();
    orders.give(SERVICE, A, Some(drain(100, Some(160)))).unwrap();
    orders.give(SERVICE, B, Some(drain(100, None))).unwrap();
    assert_eq!(orders.next_deadline(moment(150)), Some(Duration::from_secs(10)));
    assert_eq!(orders.next_deadline(moment(170)), Some(Duration::ZERO));
    assert_eq!(orders.take_due(moment(159)), []);
    assert_eq!(orders.take_due(moment(160)), [(SERVICE.to_owned(), A.to_owned())]);
    let down = Standing { order: Order::Down, since: moment(160), deadline: None };
    assert_eq!(orders.find(SERVICE, A), Some(down));
    assert_eq!((orders.next_deadline(moment(0)), orders.take_due(moment(900))), (None, vec![]));
}

#[test]
fn a_state_file_that_cannot_be_understood_is_not_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    for text in ["", "{}", "[]", r#"{"version":2,"servers":[]}"#, r#"{"version":1,"servers":7}"#] {
        fs::write(&file, text).unwrap();
        assert!(Orders::load(Some(file.clone())).is_err(), "{text}");
    }
    fs::write(&file, r#"{"version":1,"servers":[]}"#).unwrap();
    assert!(Orders::load(Some(file)).is_ok());
}

#[test]
fn an_order_that_cannot_be_kept_is_not_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gone").join("state.json");
    let mut orders = Orders::load(Some(file)).unwrap();
    assert!(orders.give(SERVICE, A, Some(drain(1, None))).is_err());
    assert_eq!(orders.find(SERVICE, A), None);
}
