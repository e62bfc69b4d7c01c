//! Pages of loopback servers that answer, hang, trickle, lie and break off.

use super::super::tests::{nobody, once, request, response, server, template};
use super::*;
use crate::plan::{Http as Pages, WatchKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

fn page(url: &str) -> Pages {
    Pages::page(template(url))
}
async fn read(pages: Pages) -> Reading {
    once(WatchKind::Http(pages)).await
}
/// A server whose every connection is served by that, once the request is there.
async fn served<F: Future<Output = ()> + Send + 'static>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            request(&mut stream).await;
            tokio::spawn(serve(stream));
        }
    });
    url
}

#[tokio::test]
async fn a_page_as_expected_is_ok_and_shows_its_time_or_its_number() {
    let url = server(|request| {
        assert!(request.contains(concat!("user-agent: crosscheck/", env!("CARGO_PKG_VERSION"))), "{request}");
        response("200 OK", "", r#"{"status":"green","count":1204,"none":null}"#)
    })
    .await;
    let reading = read(page(&url)).await;
    assert_eq!((reading.status, &*reading.unit), (Status::Ok, "ms"), "{}", reading.why);
    assert!(reading.value.is_some_and(|ms| ms > 0.0));
    assert!(reading.why.contains("first byte after"), "{}", reading.why);
    let at = |value: &str| Pages {
        status: Some(200),
        present: vec!["green".into(), "count".into()],
        absent: vec!["red".into()],
        within: Some(Duration::from_secs(5)),
        value: Some(value.into()),
        ..page(&url)
    };
    let reading = read(at("/count")).await;
    assert_eq!((reading.status, reading.value), (Status::Ok, Some(1204.0)), "{}", reading.why);
    let reading = read(at("/status")).await;
    assert_eq!((reading.status, reading.value), (Status::Ok, None));
    assert!(reading.why.contains("green"), "{}", reading.why);
    for missing in ["/none", "/nothing"] {
        let reading = read(at(missing)).await;
        assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{}", reading.why);
    }
}

#[tokio::test]
async fn a_body_of_json_is_held_against_what_is_expected_where() {
    use crate::plan::{Bounds, Expected};
    let expect = |url: &str, value: Option<&str>| Pages {
        json: vec![("/status".into(), Expected::Text("green".into())), ("/nodes/*/up".into(), Expected::Truth(true))],
        value: value.map(str::to_owned),
        bounds: Bounds { fail_above: value.and(Some(5.0)), ..Bounds::default() },
        ..page(url)
    };
    let (up, down) = (r#"{"up":true,"lag":1}"#, r#"{"up":false,"lag":9}"#);
    for (body, value, status, number, why) in [
        (
            format!(r#"{{"cluster":"evergreen","status":"red","nodes":[{up}]}}"#),
            None,
            Status::Fail,
            true,
            r#"/status is "red", not "green""#,
        ),
        (format!(r#"{{"status":"green","nodes":[{up},{up}]}}"#), None, Status::Ok, true, r#"/status is "green""#),
        (
            format!(r#"{{"status":"green","nodes":[{up},{down}]}}"#),
            None,
            Status::Fail,
            true,
            "/nodes/1/up is false, not true",
        ),
        (r#"{"status":"green","nodes":[]}"#.to_owned(), None, Status::Unknown, true, "no item is there"),
        (format!(r#"{{"nodes":[{up}]}}"#), None, Status::Unknown, true, "nothing at /status"),
        ("<html>please sign in</html>".to_owned(), None, Status::Unknown, true, "its body is not JSON"),
        (
            format!(r#"{{"status":"green","nodes":[{up}]}}"#),
            Some("/nodes/*/lag"),
            Status::Ok,
            true,
            "/nodes/0/lag is 1",
        ),
        (
            format!(r#"{{"status":"green","n":"1 day 02:00:00","nodes":[{up}]}}"#),
            Some("/n"),
            Status::Unknown,
            false,
            "no number at /n",
        ),
        (format!(r#"{{"status":"green","n":"7","nodes":[{up}]}}"#), Some("/n"), Status::Fail, true, "7 is more than 5"),
    ] {
        let answer = body.clone();
        let url = server(move |_| response("200 OK", "", &answer)).await;
        let reading = read(expect(&url, value)).await;
        assert_eq!((reading.status, reading.value.is_some()), (status, number), "{body}: {}", reading.why);
        assert!(reading.why.contains(why), "{body}: {}", reading.why);
    }
}

#[tokio::test]
async fn headers_are_sent_and_secrets_among_them_are_told_to_nobody() {
    use crate::plan::{Header, HeaderValue};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let url = server(|request| match request.contains("x-scope-orgid: shop\r\nx-api-key: hunter2\r\n") {
        true => response("200 OK", "", ""),
        false => response("403 Forbidden", "", "no"),
    })
    .await;
    let header = |name: &str, value| Header { name: name.into(), value };
    let text = HeaderValue::Text(template("shop"));
    let file = HeaderValue::File(template(path.to_str().unwrap()));
    let headers = vec![header("X-Scope-OrgID", text), header("x-api-key", file)];
    let with = |headers: &[Header]| read(Pages { headers: headers.to_vec(), ..page(&url) });
    let reading = with(&headers).await;
    assert_eq!(reading.status, Status::Unknown);
    assert!(
        reading.why.starts_with("no header x-api-key to ask with: ") && reading.why.contains("key: No such file"),
        "{}",
        reading.why
    );
    for (content, status) in [
        ("hunter2\n", Status::Ok),
        ("hunter3", Status::Fail),
        ("hunter2\nmore", Status::Unknown),
        ("", Status::Unknown),
    ] {
        std::fs::write(&path, content).unwrap();
        let reading = with(&headers).await;
        assert_eq!(reading.status, status, "{content:?}: {}", reading.why);
        assert!(!reading.why.contains("hunter"), "{}", reading.why);
    }
    let env = [header("x-api-key", HeaderValue::Env("CROSSCHECK_NO_SUCH_VARIABLE".into()))];
    let reading = with(&env).await;
    assert_eq!(reading.status, Status::Unknown);
    assert!(reading.why.contains("no text in CROSSCHECK_NO_SUCH_VARIABLE"), "{}", reading.why);
}

#[tokio::test]
async fn a_bad_page_fails_and_is_quoted_harmlessly() {
    let long = format!("red \u{1b}[31m{}", "x".repeat(500));
    let url = server(move |_| response("503 Service Unavailable", "", &long)).await;
    let reading = read(page(&url)).await;
    assert_eq!(reading.status, Status::Fail);
    assert!(reading.why.contains("503") && reading.why.contains("2xx was expected: red"), "{}", reading.why);
    assert!(!reading.why.chars().any(crate::name::is_hidden) && reading.why.len() < 250, "{}", reading.why);
    let url = server(|_| response("200 OK", "", "yellow")).await;
    let wants = |present: &[&str], absent: &[&str]| Pages {
        present: present.iter().map(|word| word.to_string()).collect(),
        absent: absent.iter().map(|word| word.to_string()).collect(),
        ..page(&url)
    };
    for (pages, why) in [
        (wants(&["yell", "green"], &[]), r#"no "green" in it: yellow"#),
        (wants(&[], &["red", "yell"]), r#""yell" in it: yellow"#),
    ] {
        let reading = read(pages).await;
        assert_eq!(reading.status, Status::Fail);
        assert!(reading.why.ends_with(why), "{}", reading.why);
    }
    assert_eq!(read(wants(&["yell"], &["red"])).await.status, Status::Ok);
}

#[tokio::test]
async fn what_does_not_answer_is_unknown_and_says_how_far_it_came() {
    let refusing = nobody().await;
    let reading = read(page(&format!("http://{refusing}"))).await;
    assert_eq!((reading.status, reading.value), (Status::Unknown, None));
    assert_eq!(reading.why, format!("no answer: connection refused by {refusing}"));
    let reading = read(page("http://name.invalid/")).await;
    assert_eq!(reading.status, Status::Unknown);
    assert!(reading.why.starts_with("no answer: the name name.invalid does not resolve: "), "{}", reading.why);
    let cut = server(|_| "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf".into()).await;
    let reading = read(page(&cut)).await;
    assert_eq!(reading.status, Status::Unknown);
    assert!(reading.why.contains("200 and then broke off after 4 B"), "{}", reading.why);
    let plain = server(|_| "no http at all\r\n\r\n".into()).await;
    assert_eq!(read(page(&plain)).await.status, Status::Unknown);
    // No TLS on the other side. On a machine without roots this also has to fail when it is read, not when it is made.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { listener.accept().await.unwrap().0.write_all(b"SSH-2.0-x\r\n").await });
    let reading = read(page(&url)).await;
    assert_eq!(reading.status, Status::Unknown);
    assert!(reading.why.starts_with("no answer: "), "{}", reading.why);
    for bad in ["ftp://example.org", "not a url", "http://{{ host }}/"] {
        assert_eq!(read(page(bad)).await.status, Status::Unknown, "{bad}");
    }
}

#[tokio::test]
async fn whatever_hangs_ends_by_the_limit() {
    let silent = served(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let headless = served(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let trickling = served(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await; // how slow it is, which is under test
        }
    })
    .await;
    let within = Some(Duration::from_millis(50));
    for (url, why) in [
        (silent, "no answer: 127.0.0.1:"),
        (headless, "no answer: 200 came and 0 B of its body, but no end within"),
        (trickling, "no answer: 200 came and "),
    ] {
        let began = std::time::Instant::now();
        let reading = read(Pages { within, ..page(&url) }).await;
        assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{}", reading.why);
        assert!(reading.why.starts_with(why), "{}", reading.why);
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    }
}

/// A name server that says nothing: the page was never asked, so it is not the one that is silent.
#[tokio::test]
async fn a_name_that_nobody_answers_for_is_told_apart_from_a_silent_page() {
    use reqwest::dns::{Name, Resolve, Resolving};
    struct Silent;
    impl Resolve for Silent {
        fn resolve(&self, name: Name) -> Resolving {
            Box::pin(async move {
                let _asked = web::Asked::begin(name.as_str());
                std::future::pending().await
            })
        }
    }
    let client = || reqwest::Client::builder().dns_resolver(Silent).no_proxy().build().unwrap();
    let url = "http://unanswered.invalid/";
    let reading = Http::with(client(), &page(url), &Params::new(), Path::new("/"))
        .unwrap()
        .read(Duration::from_millis(200))
        .await;
    assert_eq!((reading.status, reading.value), (Status::Unknown, None));
    assert_eq!(reading.why, "no answer: nobody says within 0.2 s where the name unanswered.invalid leads");
    // Once nobody waits for it any more it is not held against the next one.
    assert!(read(page(url)).await.why.starts_with("no answer: the name unanswered.invalid does not resolve: "));
}

#[tokio::test]
async fn a_slow_answer_fails() {
    let url = served(|mut stream| async move {
        tokio::time::sleep(Duration::from_millis(60)).await; // the slowness that is under test
        let _ = stream.write_all(response("200 OK", "", "").as_bytes()).await;
    })
    .await;
    let reading = read(Pages { within: Some(Duration::from_millis(20)), ..page(&url) }).await;
    assert_eq!(reading.status, Status::Fail);
    assert!(reading.why.ends_with("slower than 0.0 s"), "{}", reading.why);
}

#[tokio::test]
async fn redirects_are_not_followed_and_say_where_they_point() {
    let url = server(|request| {
        assert!(request.starts_with("GET / "), "{request}");
        response("302 Found", "location: /login?token=secret\r\n", "")
    })
    .await;
    let reading = read(page(&url)).await;
    assert_eq!(reading.status, Status::Fail);
    let points_to = format!("2xx was expected, and it points to {url}/login, which is not followed");
    assert!(reading.why.ends_with(&points_to), "{}", reading.why);
    assert_eq!(read(Pages { status: Some(302), ..page(&url) }).await.status, Status::Ok);
}

#[tokio::test]
async fn an_endless_body_is_cut_and_proves_nothing() {
    let url = served(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    let words = |words: &str| vec![words.to_owned()];
    assert_eq!(read(Pages { present: words("xxx"), ..page(&url) }).await.status, Status::Ok);
    assert_eq!(read(Pages { present: words("green"), ..page(&url) }).await.status, Status::Unknown);
    assert_eq!(read(Pages { absent: words("xxx"), ..page(&url) }).await.status, Status::Fail);
    assert_eq!(read(Pages { absent: words("red"), ..page(&url) }).await.status, Status::Unknown);
    assert_eq!(read(Pages { value: Some("/count".into()), ..page(&url) }).await.status, Status::Unknown);
}

#[tokio::test]
async fn every_sample_and_every_page_has_to_answer() {
    let turns = std::sync::atomic::AtomicU32::new(0);
    let url = server(move |_| match turns.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 6 {
        4 => response("500 Oops", "", "no"),
        _ => response("200 OK", "", "yes"),
    })
    .await;
    let reading = read(Pages { samples: 3, ..page(&url) }).await;
    assert_eq!(reading.status, Status::Ok, "{}", reading.why);
    assert!(reading.why.starts_with("3 × 200, median ") && reading.why.contains("ms, worst "), "{}", reading.why);
    let reading = read(Pages { samples: 3, ..page(&url) }).await;
    assert_eq!(reading.status, Status::Fail, "the last of them was well: {}", reading.why);
    assert!(reading.why.contains("sample 2 of 3: status 2xx was expected: no"), "{}", reading.why);

    let (well, refusing) = (server(|_| response("200 OK", "", "")).await, nobody().await);
    let broken = server(|_| response("404 Not Found", "", "none")).await;
    let pages = |urls: &[&str]| Pages { urls: urls.iter().map(|url| template(url)).collect(), ..page(&well) };
    let reading = read(pages(&[&well, &format!("{well}/2")])).await;
    assert_eq!(reading.status, Status::Ok, "{}", reading.why);
    assert!(reading.value.is_some() && reading.why.starts_with("2 of 2 pages, the slowest in "), "{}", reading.why);
    let reading = read(pages(&[&well, &format!("http://{refusing}")])).await;
    assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{}", reading.why);
    assert!(reading.why.contains(&format!("http://{refusing}/: no answer: connection refused")), "{}", reading.why);
    let reading = read(pages(&[&broken, &well, &format!("http://{refusing}")])).await;
    assert_eq!(reading.status, Status::Fail, "{}", reading.why);
    assert!(reading.why.contains(&format!("{broken}/: status 2xx was expected: none")), "{}", reading.why);
    let reading = read(pages(&[&format!("http://{refusing}/1"), &format!("http://{refusing}/2")])).await;
    assert!(reading.why.starts_with("none of 2 pages answers; "), "{}", reading.why);
}

/// A https server with a certificate that ends so many days from now, and a client that trusts it.
async fn https(days: i64) -> (String, reqwest::Client) {
    https_through(days, None).await
}

/// The same, with a certificate between the server's and the root that ends so many days from now.
async fn https_through(days: i64, between: Option<i64>) -> (String, reqwest::Client) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let date = |days: i64| {
        let at = crate::clock::wall().micros() / 1_000_000 + days * DAY as i64;
        let date = jiff::Timestamp::from_second(at).unwrap().to_zoned(jiff::tz::TimeZone::UTC).date();
        rcgen::date_time_ymd(i32::from(date.year()), date.month() as u8, date.day() as u8)
    };
    (params.not_before, params.not_after) = (date(-30), date(days));
    let mut roots = rustls::RootCertStore::empty();
    let chain = match between {
        None => {
            let certificate = params.self_signed(&key).unwrap();
            roots.add(certificate.der().clone()).unwrap();
            vec![certificate.der().clone()]
        }
        Some(days) => {
            let authority = |name: &str, days: i64| {
                let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
                params.distinguished_name.push(rcgen::DnType::CommonName, name);
                params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
                (params.not_before, params.not_after) = (date(-30), date(days));
                (params, rcgen::KeyPair::generate().unwrap())
            };
            let (root, root_key) = authority("root", 3000);
            roots.add(root.self_signed(&root_key).unwrap().der().clone()).unwrap();
            let (middle, middle_key) = authority("between", days);
            let root = rcgen::Issuer::new(root, root_key);
            let between = middle.signed_by(&middle_key, &root).unwrap();
            let certificate = params.signed_by(&key, &rcgen::Issuer::new(middle, middle_key)).unwrap();
            vec![certificate.der().clone(), between.der().clone()]
        }
    };
    web::client().unwrap(); // installs the provider
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder().with_no_client_auth();
    let tls = tls.with_single_cert(chain, key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = vec![];
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(response("200 OK", "", "").as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    (url, web::trusting(roots).unwrap())
}

#[tokio::test]
async fn the_days_a_certificate_has_left_are_counted() {
    let two_weeks = Some(Duration::from_secs(14 * DAY));
    for (days, status, why) in [
        (31, Status::Ok, "certificate ends in 30 days"),
        (10, Status::Fail, "its certificate ends in 9 days, 14 days expected"),
        (-1, Status::Fail, "its certificate has expired"),
    ] {
        let (url, client) = https(days).await;
        let expect = Pages { tls_valid_for: two_weeks, ..page(&url) };
        let reading =
            Http::with(client, &expect, &Params::new(), Path::new("/")).unwrap().read(Duration::from_secs(5)).await;
        assert_eq!(reading.status, status, "{}", reading.why);
        assert!(reading.why.contains(why), "{}", reading.why);
    }
    for (days, status, why) in [
        (31, Status::Ok, "certificate ends in 89 days"),
        (10, Status::Fail, "a certificate of its chain ends in 9 days, 14 days expected"),
        (-1, Status::Fail, "its certificate has expired"),
    ] {
        let (url, client) = https_through(90, Some(days)).await;
        let expect = Pages { tls_valid_for: two_weeks, samples: 2, ..page(&url) };
        let http = Http::with(client, &expect, &Params::new(), Path::new("/"));
        let reading = http.unwrap().read(Duration::from_secs(5)).await;
        assert!(reading.status == status && reading.why.contains(why), "{days}: {reading:?}");
    }
    // A certificate nobody vouches for says nothing about the service, however long it lasts.
    let (url, _) = https(31).await;
    let reading = read(page(&url)).await;
    assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{}", reading.why);
    assert!(reading.why.starts_with("no answer: ") && !reading.why.contains("expired"), "{}", reading.why);
}

#[test]
fn slower_than_before_is_a_warning_and_teaches_nothing() {
    let expect = Pages { slower_than_baseline: Some(3.0), ..page("http://h/") };
    let mut usual = Baseline::new(BASELINE.0, BASELINE.1);
    let mut see = |ms: f64, bad: bool| {
        let mut seen = Seen { total: vec![ms], first_byte: vec![ms], ..Seen::default() };
        if bad {
            seen.findings.add(Status::Fail, "status 2xx was expected");
        }
        let seen = judge(&expect, seen, &mut usual);
        let told = told(&seen, 1);
        seen.findings.reading(&told, None, "")
    };
    for n in 0..10 {
        let reading = see(f64::from(100 + n % 5 * 10), false);
        assert_eq!(reading.status, Status::Ok);
        assert!(reading.why.ends_with(&format!(", baseline {n} of 10 readings")), "{}", reading.why);
    }
    (0..50).for_each(|_| assert_eq!(see(1.0, true).status, Status::Fail)); // a quick error page is no service
    assert_eq!(see(165.0, false).status, Status::Ok, "within what is usual");
    assert_eq!(see(1.0, false).status, Status::Ok);
    for _ in 0..200 {
        let reading = see(480.0, false);
        assert_eq!(reading.status, Status::Warn, "slow never becomes usual");
        assert!(reading.why.ends_with("slower than before: 480 ms, usually 120 ms ± 15"), "{}", reading.why);
    }
    assert_eq!(see(120.0, false).status, Status::Ok);
}
