use super::*;
use crate::model::read_connection;

const OK: Option<Answered> = Some(Answered { status: 200, is_from_origin: true });

const TWO: &str = concat!(
    "POST /m/c7k0 HTTP/1.1\r\nHost: x\r\nX-Marker: c7k0\r\nContent-Length: 3\r\n\r\nabc",
    "GET /m/c7k1 HTTP/1.1\r\nHost: x\r\nX-Marker: c7k1\r\n\r\n",
);

fn ledger(text: &str, answer: Option<Answered>) -> Ledger {
    let mut ledger = Ledger::default();
    for request in read_connection(text.as_bytes()).0 {
        ledger.note(Sent::new(7, &request, answer));
    }
    ledger
}

/// What an honest origin says about the requests of `text`.
fn reports(text: &str) -> Vec<Seen> {
    let (requests, _) = read_connection(text.as_bytes());
    let report = |request: &Request, witness| Seen {
        witness,
        method: request.method.clone(),
        target: request.target.clone(),
        markers: Markers::All(request.markers.clone()),
        body: request.fingerprint(),
        ..Seen::default()
    };
    requests.iter().flat_map(|it| [Witness::Head, Witness::Body].map(|by| report(it, by))).collect()
}

/// Plants one wrong report behind the honest ones of the first request.
fn planted(change: impl Fn(&mut Seen)) -> String {
    let mut ledger = ledger(TWO, OK);
    let mut reports = reports(TWO);
    change(&mut reports[1]);
    let findings: Vec<Finding> = reports.iter().filter_map(|it| ledger.see(it)).collect();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].connection, Some(7));
    findings[0].what.clone()
}

#[test]
fn honest_reports_are_no_finding() {
    let mut ledger = ledger(TWO, OK);
    for seen in reports(TWO) {
        assert!(ledger.see(&seen).is_none());
    }
    assert_eq!(ledger.unreported(0).count(), 0);
    assert!(ledger.close().is_none());
}

/// nginx refuses a host with two dots in a row once it has read the head.
#[test]
fn of_two_like_requests_the_accepted_one_has_the_body() {
    let text = "GET /m/c7k0 HTTP/1.1\r\nHost: x\r\nX-Marker: c7k0\r\n\r\n".repeat(2);
    let mut ledger = Ledger::default();
    let answers = [Some(Answered { status: 400, is_from_origin: true }), OK];
    for (request, answer) in read_connection(text.as_bytes()).0.iter().zip(answers) {
        ledger.note(Sent::new(7, request, answer));
    }
    let reports = reports(&text);
    for seen in [&reports[0], &reports[2], &reports[3]] {
        assert!(ledger.see(seen).is_none());
    }
    assert_eq!(ledger.unreported(0).count(), 0);
    assert!(ledger.close().is_none());
}

#[test]
fn every_planted_difference_is_found() {
    assert!(planted(|seen| seen.method = "PUT".to_owned()).starts_with("another method"));
    assert!(planted(|seen| seen.body.1 = "0".to_owned()).starts_with("another body"));
    assert!(planted(|seen| seen.body.0 += 1).starts_with("another body"));
    assert!(planted(|seen| seen.trailers = 1).starts_with("trailers"));
    assert!(planted(|seen| seen.target.push('h')).starts_with("a request that no client sent"));
    assert!(
        planted(|seen| seen.markers = Markers::All(Vec::new()))
            .starts_with("a request that no client sent")
    );
    let [first, second] = ["c7k0", "c7k1"].map(str::to_owned);
    for wrong in [vec![second.clone()], vec![first, second.clone()]] {
        let found = planted(|seen| seen.markers = Markers::All(wrong.clone()));
        assert!(found.starts_with("a request that no client sent"), "{found}");
    }
    let found = planted(|seen| seen.markers = Markers::First(second.clone()));
    assert!(found.starts_with("a request that no client sent"), "{found}");
    assert!(planted(|seen| seen.witness = Witness::Head).starts_with("seen twice"));
}

#[test]
fn a_request_that_was_hidden_in_a_body_is_found() {
    let hidden = "GET /m/c7k0h HTTP/1.1\r\nHost: x\r\nX-Marker: c7k0h\r\n\r\n";
    let length = hidden.len();
    let text = format!("POST /m/c7k0 HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    let mut ledger = ledger(&format!("{text}{hidden}"), OK);
    let finding = ledger.see(&reports(hidden)[0]).expect("a finding");
    assert!(finding.what.starts_with("a request that no client sent"), "{finding:?}");
    assert_eq!(finding.connection, Some(7));
}

#[test]
fn a_body_that_never_became_whole_must_not_arrive_whole() {
    let cut = &TWO[..TWO.find("abc").expect("the body") + 2];
    let mut ledger = ledger(cut, None);
    let mut seen = reports(cut);
    assert!(ledger.see(&seen[0]).is_none(), "its head may arrive");
    seen[1].body = (3, String::new());
    let finding = ledger.see(&seen[1]).expect("a finding");
    assert!(finding.what.starts_with("a body that never became whole"), "{finding:?}");
}

#[test]
fn an_answer_without_a_report_is_missed() {
    let mut ledger = ledger(TWO, OK);
    for seen in &reports(TWO)[..3] {
        assert!(ledger.see(seen).is_none());
    }
    assert_eq!(ledger.unreported(0).count(), 1);
    assert_eq!(ledger.unreported(1).count(), 1);
    assert_eq!(ledger.unreported(ledger.len()).count(), 0);
}

#[test]
fn bytes_that_an_origin_refused_need_a_client_that_heard_of_it() {
    let refused = Seen { witness: Witness::Refused, ..Seen::default() };
    let mut honest = ledger(TWO, Some(Answered { status: 400, is_from_origin: true }));
    assert!(honest.see(&refused).is_none() && honest.close().is_none());
    let mut smuggled = ledger(TWO, OK);
    assert!(smuggled.see(&refused).is_none());
    assert!(smuggled.close().is_some());
}

#[test]
fn a_refusal_that_names_its_request_names_one_that_was_sent() {
    let refused = |method: &str, target: &str| Seen {
        witness: Witness::Refused,
        method: method.to_owned(),
        target: target.to_owned(),
        markers: Markers::Unknown,
        ..Seen::default()
    };
    let mut ledger = ledger(TWO, None);
    assert!(ledger.see(&refused("POST", "/m/c7k0")).is_none());
    let wrong = [("POST", "/m/c7k0"), ("HEAD", "/m/c7k1"), ("POST", "/m/c7k0h"), ("x", "garbage")];
    for (method, target) in wrong {
        assert!(ledger.see(&refused(method, target)).is_some(), "{method} {target}");
    }
}
