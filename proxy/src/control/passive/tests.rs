use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use sundew_config::model::{
    Endpoint, HealthCheck, ServerIndex, Service, ServiceIndex, ServiceKind,
};

use super::super::fixtures::{check, model, service};
use super::super::orders::Orders;
use super::super::publish::states;
use super::*;
use crate::worker::inbox::{Address, Message, Snapshot};

const A: &str = "http://10.0.0.1:1";
const B: &str = "http://10.0.0.2:2";
const WINDOW: Duration = Duration::from_secs(10);

/// Keeps what workers are told of health.
#[derive(Clone, Default)]
struct Heard(Rc<RefCell<Vec<(u16, bool)>>>);

impl Inbox for Heard {
    fn send(&self, message: Message) {
        if let Message::Health { server, is_up, .. } = message {
            self.0.borrow_mut().push((server.0, is_up));
        }
    }
}

impl Heard {
    fn take(&self) -> Vec<(u16, bool)> {
        self.0.take()
    }
}

fn nowhere(_: &Endpoint) -> Arc<[Address]> {
    Arc::new([])
}

fn checked(active: Option<HealthCheck>, failed_attempts_max: u32) -> Service {
    let mut service = service("app", active, &[A, B]);
    if let ServiceKind::LoadBalancer(balancer) = &mut service.kind {
        let rule = PassiveHealthCheck { failure_window: WINDOW, failed_attempts_max };
        balancer.passive_health_check = Some(rule);
    }
    service
}

struct Stage {
    ejections: Ejections,
    publisher: Publisher<Heard>,
    heard: Heard,
}

impl Stage {
    fn new(service: Service) -> Self {
        let heard = Heard::default();
        let model = model(vec![service]);
        let servers = states(&model, nowhere, |_, _| true);
        let snapshot = Snapshot { model: Arc::new(model), servers };
        let publisher = Publisher::new(vec![heard.clone()], &snapshot, Orders::default());
        Self { ejections: Ejections::default(), publisher, heard }
    }

    /// Whether it was ejected for that.
    fn answers(&mut self, server: u16, has_failed: bool) -> bool {
        let model = Arc::clone(self.publisher.model());
        let (service, server) = (ServiceIndex(0), ServerIndex(server));
        let outcome = Outcome { model, service, server, has_failed };
        self.ejections.take(&outcome, &mut self.publisher)
    }

    /// Waits for the next ejection's end.
    async fn end_next(&mut self) -> bool {
        let key = self.ejections.next().await;
        self.ejections.end(&key, &mut self.publisher)
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_is_left_out_for_the_window() {
    let mut stage = Stage::new(checked(None, 1));
    assert!(!stage.answers(0, false));
    assert!(stage.answers(1, true));
    assert!(!stage.answers(1, true), "what was on its way changes nothing");
    assert_eq!(stage.heard.take(), [(1, false)]);
    let began = Instant::now();
    assert!(stage.end_next().await);
    assert_eq!(began.elapsed(), WINDOW);
    assert_eq!(stage.heard.take(), [(1, true)]);
    assert!(stage.answers(1, true), "and out again");
}

#[tokio::test(start_paused = true)]
async fn only_failures_within_the_window_and_without_a_success_count() {
    let mut stage = Stage::new(checked(None, 3));
    for has_failed in [true, true, false, true, true] {
        assert!(!stage.answers(0, has_failed));
    }
    tokio::time::advance(WINDOW / 2).await;
    assert!(stage.answers(0, true));
    for _ in 0..2 {
        assert!(!stage.answers(1, true));
    }
    tokio::time::advance(WINDOW).await;
    assert!(!stage.answers(1, true));
    assert!(!stage.answers(1, true));
    assert!(stage.answers(1, true));
}

#[tokio::test(start_paused = true)]
async fn with_an_active_check_only_that_one_brings_a_server_back() {
    let mut stage = Stage::new(checked(Some(check()), 1));
    assert!(stage.answers(0, true));
    assert!(!stage.end_next().await);
    assert_eq!(stage.heard.take(), [(0, false)]);
    assert!(stage.publisher.health("app", A, true));
    assert!(stage.answers(0, true), "its failures count again");
}

#[tokio::test(start_paused = true)]
async fn an_ejection_survives_a_reload_and_ends_all_the_same() {
    let mut stage = Stage::new(checked(None, 1));
    assert!(stage.answers(0, true));
    tokio::time::advance(WINDOW / 2).await;
    stage.publisher.tables(model(vec![checked(None, 2)]), nowhere);
    stage.ejections.follow(&stage.publisher);
    assert_eq!(stage.publisher.server_counts(), (2, 1));
    let began = Instant::now();
    assert!(stage.end_next().await);
    assert_eq!(began.elapsed(), WINDOW / 2);

    assert!(!stage.answers(0, true) && stage.answers(0, true));
    stage.publisher.tables(model(vec![service("app", None, &[A, B])]), nowhere);
    stage.ejections.follow(&stage.publisher);
    assert_eq!(stage.publisher.server_counts(), (2, 0), "nobody checks it any more");
    assert!(stage.ejections.records.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_an_active_check_left_down_comes_back_without_it() {
    let mut stage = Stage::new(checked(Some(check()), 1));
    assert!(stage.publisher.health("app", A, false));
    stage.publisher.tables(model(vec![checked(None, 1)]), nowhere);
    stage.ejections.follow(&stage.publisher);
    assert_eq!(stage.publisher.server_counts(), (2, 1));
    assert!(stage.end_next().await);
    assert_eq!(stage.publisher.server_counts(), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn outcomes_of_other_tables_are_not_believed() {
    let mut stage = Stage::new(checked(None, 1));
    let before = Arc::clone(stage.publisher.model());
    stage.publisher.tables(model(vec![checked(None, 1)]), nowhere);
    let (service, server) = (ServiceIndex(0), ServerIndex(0));
    let outcome = Outcome { model: before, service, server, has_failed: true };
    assert!(!stage.ejections.take(&outcome, &mut stage.publisher));
}
