use std::convert::Infallible;

use http_body_util::Empty;
use http_body_util::combinators::BoxBody;
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2 as server;
use hyper::service::service_fn;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::super::super::fixtures::{check, server as at};
use super::*;

/// How a health service answers.
#[derive(Clone, Copy)]
enum Answer {
    /// This message, and this status as a trailer.
    Message(&'static [u8], &'static str),
    /// This status in the head, and nothing else.
    Head(&'static str),
    /// An HTTP status.
    Http(u16),
    Silence,
}

/// A server that speaks gRPC; returns its URL and what it is asked.
async fn start(answer: Answer) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let asked = asked.clone();
            let service = service_fn(move |request| reply(answer, request, asked.clone()));
            let connection = server::Builder::new(TokioExecutor::new());
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    (url, heard)
}

async fn reply(
    answer: Answer,
    request: Request<Incoming>,
    asked: mpsc::UnboundedSender<String>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let line = format!("{} {}", request.method(), request.uri());
    let kind = request.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    asked.send(format!("{line} {kind} {body:?}")).unwrap();
    let response = Response::builder().header(CONTENT_TYPE, "application/grpc");
    Ok(match answer {
        Answer::Message(message, status) => {
            let mut framed = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
            framed.extend_from_slice(message);
            let trailers = HeaderMap::from_iter([(
                hyper::header::HeaderName::from_static("grpc-status"),
                hyper::header::HeaderValue::from_static(status),
            )]);
            let frames = [Frame::data(Bytes::from(framed)), Frame::trailers(trailers)];
            let (sender, receiver) = tokio::sync::mpsc::channel(2);
            for frame in frames {
                sender.try_send(frame).unwrap();
            }
            response.body(BoxBody::new(Frames(receiver))).unwrap()
        }
        Answer::Head(status) => {
            response.header("grpc-status", status).body(BoxBody::new(Empty::new())).unwrap()
        }
        Answer::Http(status) => response.status(status).body(BoxBody::new(Empty::new())).unwrap(),
        Answer::Silence => std::future::pending().await,
    })
}

/// Frames in turn.
struct Frames(tokio::sync::mpsc::Receiver<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        task: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(task).map(|frame| frame.map(Ok))
    }
}

async fn outcome(answer: Answer) -> Result<(), Unhealthy> {
    let (url, _heard) = start(answer).await;
    let check = HealthCheck { timeout: std::time::Duration::from_millis(500), ..check() };
    probe(&at(&url), &check, &Names::default()).await
}

#[tokio::test]
async fn only_a_server_that_says_so_serves() {
    let broken = |why: &str| Err(Unhealthy::Exchange(why.to_owned()));
    let cases = [
        (Answer::Message(&[8, 1], "0"), Ok(())),
        // An unknown field before it.
        (Answer::Message(&[0x12, 2, 7, 7, 8, 1], "0"), Ok(())),
        (Answer::Message(&[8, 2], "0"), Err(Unhealthy::NotServing)),
        (Answer::Message(&[], "0"), Err(Unhealthy::NotServing)),
        (Answer::Message(&[8], "0"), Err(Unhealthy::NotServing)),
        (Answer::Message(&[8, 1], "14"), Err(Unhealthy::Grpc("14".to_owned()))),
        (Answer::Head("12"), Err(Unhealthy::Grpc("12".to_owned()))),
        (Answer::Http(404), Err(Unhealthy::Status(404))),
        (Answer::Silence, Err(Unhealthy::Timeout)),
    ];
    for (at, (answer, want)) in cases.into_iter().enumerate() {
        assert_eq!(outcome(answer).await, want, "case {at}");
    }
    let no_trailers = Response::new(Full::new(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1])));
    assert_eq!(judge(no_trailers).await, broken("the answer is not gRPC"));
    let long = Response::new(Full::new(Bytes::from(vec![0; ANSWER_BYTES_MAX + 1])));
    assert_eq!(judge(long).await, broken("the answer is no health status"));
}

#[tokio::test]
async fn the_whole_server_is_asked_for() {
    let (url, mut heard) = start(Answer::Message(&[8, 1], "0")).await;
    let named = HealthCheck { hostname: Some("app.example".into()), ..check() };
    probe(&at(&url), &named, &Names::default()).await.unwrap();
    let want = "POST http://app.example/grpc.health.v1.Health/Check application/grpc \
                b\"\\0\\0\\0\\0\\0\"";
    assert_eq!(heard.recv().await.unwrap(), want);
}

#[test]
fn numbers_are_read_to_their_end_and_no_further() {
    for (bytes, want) in [
        (&[1][..], Some(1)),
        (&[0xac, 0x02], Some(300)),
        (&[0x80], None),
        (&[], None),
        (&[0xff; 11], None),
    ] {
        assert_eq!(varint(&mut &*bytes), want, "{bytes:?}");
    }
    for cut in [&[][..], &[0, 0, 0, 0], &[0, 0, 0, 0, 1], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 1, 0x0b]]
    {
        assert_eq!(serving_status(cut), None, "{cut:?}");
    }
}
