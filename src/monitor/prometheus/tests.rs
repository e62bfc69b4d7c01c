//! Every shape of answer, from a small server that answers as Prometheus does; the real one is in tests/suite.

use super::super::tests::{nobody, once, response, server, template};
use super::*;
use crate::plan::WatchKind;

fn query(url: &str) -> plan::Prometheus {
    let (url, query) = (template(url), template("lag{job=\"x\"} + 1"));
    plan::Prometheus {
        url,
        query,
        bounds: plan::Bounds::default(),
        unit: "s".into(),
        token_file: None,
        headers: vec![],
        fresh: None,
    }
}
fn judge(expect: impl Fn(&mut plan::Prometheus), status: u16, body: &str) -> Reading {
    let mut query = query("http://h");
    expect(&mut query);
    Prometheus::new(&query, &Params::new(), Path::new("/")).unwrap().judge(status, body.as_bytes())
}
fn vector(series: &[(&str, &str)]) -> String {
    let series = series.iter().map(|(labels, value)| format!(r#"{{"metric":{{{labels}}},"value":[1.5,"{value}"]}}"#));
    let series: Vec<String> = series.collect();
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#, series.join(","))
}

#[test]
fn a_number_is_held_against_every_limit() {
    let limits = |query: &mut plan::Prometheus| {
        (query.bounds.warn_above, query.bounds.fail_above) = (Some(5.0), Some(10.0));
        (query.bounds.warn_below, query.bounds.fail_below) = (Some(0.0), Some(-3.0));
    };
    let scalar =
        |value: &str| format!(r#"{{"status":"success","data":{{"resultType":"scalar","result":[1.5,"{value}"]}}}}"#);
    for (value, status, why) in [
        ("5", Status::Ok, "5 s"),
        ("5.25", Status::Warn, "5.25 s is above 5 s"),
        ("1e3", Status::Fail, "1000 s is above 10 s"),
        ("0", Status::Ok, "0 s"),
        ("-1", Status::Warn, "-1 s is below 0 s"),
        ("-4", Status::Fail, "-4 s is below -3 s"),
    ] {
        for body in [scalar(value), vector(&[("", value)])] {
            let reading = judge(limits, 200, &body);
            assert_eq!((reading.status, &*reading.why, &*reading.unit), (status, why, "s"));
            assert_eq!(reading.value, Some(value.parse().unwrap()));
        }
    }
}

#[test]
fn of_several_series_the_worst_counts_and_is_named() {
    let above =
        |query: &mut plan::Prometheus| (query.bounds.warn_above, query.bounds.fail_above) = (Some(5.0), Some(10.0));
    let (a, b, c) = (r#""__name__":"lag","i":"a""#, r#""i":"b""#, r#""i":"c""#);
    let reading = judge(above, 200, &vector(&[(a, "1"), (b, "11"), (c, "12")]));
    assert_eq!((reading.status, reading.value), (Status::Fail, Some(12.0)));
    assert_eq!(reading.why, r#"2 of 3 series; {i="c"} 12 s is above 10 s; {i="b"} 11 s is above 10 s"#);
    let reading = judge(above, 200, &vector(&[(a, "4"), (b, "3")]));
    assert_eq!((reading.status, reading.value), (Status::Ok, Some(4.0)));
    assert_eq!(reading.why, r#"2 series, the nearest to its limit: lag{i="a"} 4 s"#);
    let below = |query: &mut plan::Prometheus| query.bounds.warn_below = Some(5.0);
    let reading = judge(below, 200, &vector(&[(a, "4"), (b, "3")]));
    assert_eq!((reading.status, reading.value), (Status::Warn, Some(3.0)), "{}", reading.why);
    // One that is no number is not known, unless another one is bad already.
    let reading = judge(above, 200, &vector(&[(a, "NaN"), (b, "3")]));
    assert_eq!((reading.status, reading.value), (Status::Unknown, None));
    assert_eq!(reading.why, r#"1 of 2 series; lag{i="a"} is no number but NaN"#);
    assert_eq!(judge(above, 200, &vector(&[(a, "NaN"), (b, "11")])).status, Status::Fail);
    let many: Vec<_> = (0..5).map(|_| (b, "11")).collect();
    assert!(judge(above, 200, &vector(&many)).why.ends_with("; 2 more"));
    // Without a limit none of several is the value.
    let reading = judge(|_| {}, 200, &vector(&[(a, "4"), (b, "3")]));
    assert_eq!((reading.status, reading.value), (Status::Ok, None), "{}", reading.why);
    let hidden = judge(above, 200, &vector(&[(r#""i":"\u001b[31m\u202e""#, "11")]));
    assert!(!hidden.why.chars().any(crate::name::is_hidden), "{}", hidden.why);
}

#[test]
fn whatever_is_no_number_is_unknown() {
    let of = |kind: &str, result: &str| {
        format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#)
    };
    let error = r#"{"status":"error","errorType":"bad_data","error":"parse error: \u001b[31m"}"#;
    for (status, body, why) in [
        (200, vector(&[]), "no data: the query found no series"),
        (200, of("scalar", r#"[1, "NaN"]"#), "is no number but NaN"),
        (200, of("scalar", r#"[1, "+Inf"]"#), "is no number but +Inf"),
        (200, of("scalar", r#"[1, "-Inf"]"#), "is no number but -Inf"),
        (200, of("scalar", r#"[1, 5]"#), "a sample that is none: [1,5]"),
        (200, of("scalar", r#"[1]"#), "a sample that is none: [1]"),
        (200, of("string", r#"[1, "5"]"#), "the query gives a text"),
        (200, of("matrix", r#"[]"#), "a range of values"),
        (200, of("vector", r#"{}"#), "an answer without a result"),
        (200, of("vector", r#"[{}]"#), "a series without labels"),
        (200, of("vector", r#"[{"metric":{},"histogram":[1,{}]}]"#), "the query gives histograms"),
        (400, error.into(), "Prometheus says bad_data: parse error: \\u{1b}[31m"),
        (200, error.into(), "Prometheus says bad_data"),
        (503, "Service Unavailable".into(), "status 503, and its body is no answer of Prometheus: Service"),
        (500, vector(&[("", "1")]), "status 500, and no answer of Prometheus"),
        (200, "[]".into(), "status 200, and no answer of Prometheus: []"),
        (200, r#"{"status":"success"}"#.into(), "an answer without a result"),
        (200, String::new(), "status 200, and its body is no answer"),
    ] {
        let reading = judge(|query| query.bounds.fail_above = Some(1e9), status, &body);
        assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{body}: {}", reading.why);
        assert!(reading.why.starts_with(why), "{body}: {}", reading.why);
    }
}

#[test]
fn what_the_server_warns_of_is_not_the_whole_truth() {
    let warned = |series: &[(&str, &str)]| vector(series).replacen('{', r#"{"warnings":["a store is down"],"#, 1);
    let limit = |query: &mut plan::Prometheus| query.bounds.fail_above = Some(10.0);
    let reading = judge(limit, 200, &warned(&[("", "1")]));
    assert_eq!((reading.status, reading.value), (Status::Unknown, None));
    assert_eq!(reading.why, "it warns: a store is down; 1 s");
    assert_eq!(judge(limit, 200, &warned(&[("", "11")])).status, Status::Fail);
    assert!(judge(limit, 200, &warned(&[])).why.ends_with("it warns: a store is down"));
}

#[test]
fn an_answer_that_is_not_whole_is_not_the_truth() {
    let limit = |query: &mut plan::Prometheus| query.bounds.fail_above = Some(10.0);
    for word in [r#""isPartial":true"#, r#""partial":true"#] {
        let part = |value: &str| vector(&[("", value)]).replacen('{', &format!("{{{word},"), 1);
        let reading = judge(limit, 200, &part("1"));
        assert_eq!((reading.status, reading.value), (Status::Unknown, None));
        assert_eq!(reading.why, "it warns: its answer is not whole; 1 s");
        assert_eq!(judge(limit, 200, &part("11")).status, Status::Fail);
    }
    let whole = vector(&[("", "1")]).replacen('{', r#"{"isPartial":false,"#, 1);
    assert_eq!(judge(limit, 200, &whole).status, Status::Ok);
}

#[tokio::test]
async fn every_series_has_to_be_fresh_where_the_plan_asks_for_it() {
    use crate::plan::{Header, HeaderValue};
    for (ages, value, status, why) in [
        (&[("\"i\":\"a\"", "3"), ("\"i\":\"b\"", "20")][..], "1", Status::Ok, "1 s"),
        (
            &[("\"i\":\"a\"", "3"), ("\"i\":\"b\"", "250")],
            "1",
            Status::Unknown,
            "1 of 2 series are older than 60s: {i=\"b\"} 4m; 1 s",
        ),
        (&[("\"i\":\"a\"", "250")], "11", Status::Fail, "11 s is above 10 s; 1 of 1 series are older than 60s"),
        (&[], "1", Status::Unknown, "the age of its samples is not known: no such series"),
        (&[("", "NaN")], "1", Status::Unknown, "the age of its samples is not known: NaN is no age"),
    ] {
        let (aged, now) = (vector(ages), vector(&[("", value)]));
        let url = server(move |request| {
            assert!(request.contains("x-scope-orgid: shop\r\n"), "{request}");
            let asks_age = request.contains("query=time%28%29+-+timestamp%28up%7Bjob%3D%22x%22%7D%29 ");
            response("200 OK", "", if asks_age { &aged } else { &now })
        })
        .await;
        let mut query = query(&url);
        query.bounds.fail_above = Some(10.0);
        query.fresh = Some((template("up{job=\"x\"}"), Duration::from_secs(60)));
        query.headers = vec![Header { name: "X-Scope-OrgID".into(), value: HeaderValue::Text(template("shop")) }];
        let reading = once(WatchKind::Prometheus(query)).await;
        assert!(reading.status == status && reading.why.starts_with(why), "{reading:?}");
    }
}

#[tokio::test]
async fn it_asks_as_the_plan_says_and_shows_its_token_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let url = server(|request| {
        let line = "GET /base/api/v1/query?query=lag%7Bjob%3D%22x%22%7D+%2B+1 HTTP/1.1\r\n";
        assert!(request.starts_with(line), "{request}");
        match request.contains("authorization: Bearer s3cret-token\r\n") {
            true => response("200 OK", "", &vector(&[("", "7")])),
            false => response("401 Unauthorized", "", "who are you?"),
        }
    })
    .await;
    let token_file = Some(template(path.to_str().unwrap()));
    let with = |token_file| WatchKind::Prometheus(plan::Prometheus { token_file, ..query(&format!("{url}/base/")) });
    let reading = once(with(token_file.clone())).await;
    assert!(reading.why.contains("no token to ask with") && reading.why.contains("token: No such file"), "{reading:?}");
    for (token, status, value) in [
        ("s3cret-token\n", Status::Ok, Some(7.0)),
        ("other", Status::Unknown, None),
        ("s3cret-token\nand more", Status::Unknown, None),
        (" \n", Status::Unknown, None),
    ] {
        std::fs::write(&path, token).unwrap();
        let reading = once(with(token_file.clone())).await;
        assert_eq!((reading.status, reading.value), (status, value), "{}", reading.why);
        assert!(!reading.why.contains("s3cret"), "{}", reading.why);
    }
    assert!(once(with(None)).await.why.starts_with("status 401"));
    let refused = once(WatchKind::Prometheus(query(&format!("http://{}", nobody().await)))).await;
    assert_eq!(refused.status, Status::Unknown);
    assert!(refused.why.starts_with("no answer: connection refused"), "{}", refused.why);
}
