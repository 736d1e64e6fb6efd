//! Toys over loopback.

use std::io::ErrorKind;

use super::*;

const QUICK: Character = Character { name: "quick", colour: "#fff", delay: Duration::ZERO };

async fn ask(stream: &mut TcpStream, request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = vec![0; 8192];
    let count = stream.read(&mut bytes).await?;
    bytes.truncate(count);
    Ok(String::from_utf8(bytes).unwrap())
}

#[tokio::test]
async fn a_toy_signs_and_counts_its_answers_but_not_its_checks() {
    let toy = Toy::start(QUICK).await.unwrap();
    let mut stream = TcpStream::connect(toy.addr()).await.unwrap();
    let check = ask(&mut stream, "GET /check HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(check.ends_with("\r\n\r\nwell\n"), "{check}");
    let answer = ask(&mut stream, "POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\nX-Toy: quick\r\n"), "{answer}");
    let page = ask(&mut stream, "GET /<b> HTTP/1.1\r\nAccept: text/html\r\n\r\n").await.unwrap();
    assert!(page.contains("&lt;b&gt;") && page.contains("text/html"), "{page}");
    assert_eq!(toy.served(), 2);
}

#[tokio::test]
async fn a_killed_toy_resets_refuses_and_comes_back_at_its_address() {
    let toy = Toy::start(QUICK).await.unwrap();
    let mut stream = TcpStream::connect(toy.addr()).await.unwrap();
    ask(&mut stream, "GET / HTTP/1.1\r\n\r\n").await.unwrap();

    toy.set(Mood::Dead).await;
    assert_eq!(toy.mood(), Mood::Dead);
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(TcpStream::connect(toy.addr()).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);

    toy.set(Mood::Well).await;
    let mut stream = TcpStream::connect(toy.addr()).await.unwrap();
    assert!(ask(&mut stream, "GET / HTTP/1.1\r\n\r\n").await.unwrap().contains("quick"));
    assert_eq!(toy.served(), 2);
}

#[tokio::test]
async fn a_hung_toy_takes_a_request_and_answers_it_when_restored() {
    let toy = Toy::start(QUICK).await.unwrap();
    toy.set(Mood::Hung).await;
    let mut stream = TcpStream::connect(toy.addr()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut buffer = [0; 512];
    assert!(time::timeout(Duration::from_millis(100), stream.read(&mut buffer)).await.is_err());
    assert_eq!(toy.served(), 0);

    toy.set(Mood::Well).await;
    assert!(stream.read(&mut buffer).await.unwrap() > 0);
    assert_eq!(toy.served(), 1);
}

#[tokio::test]
async fn a_toy_goes_from_hung_to_dead_and_ends_with_its_owner() {
    let toy = Toy::start(QUICK).await.unwrap();
    toy.set(Mood::Hung).await;
    toy.set(Mood::Dead).await;
    toy.set(Mood::Hung).await;
    assert_eq!(toy.mood(), Mood::Hung);
    let mut stream = TcpStream::connect(toy.addr()).await.unwrap();
    drop(toy);
    assert!(matches!(stream.read(&mut [0; 8]).await, Err(_) | Ok(0)));
}

#[test]
fn a_request_is_read_as_far_as_a_toy_cares() {
    let request = Request::parse(b"HEAD /a?b=c HTTP/1.0\r\nAccept: text/html,*/*\r\ncontent-LENGTH: 7\r\n\r\n");
    let expected = Request { path: "/a".to_owned(), is_head: true, wants_page: true, closes: true, length: 7 };
    assert_eq!(request, expected);
    assert!(Request::parse(b"GET / HTTP/1.1\r\nConnection: Close\r\n\r\n").closes);
    assert!(!Request::parse(b"GET / HTTP/1.1\r\n\r\n").closes);
}
