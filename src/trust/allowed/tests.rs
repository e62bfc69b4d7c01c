//! The grammar case by case; `tests/suite/signers.rs` holds the same reader against the real `ssh-keygen`.

use super::*;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

fn blob(fields: &[&[u8]]) -> Vec<u8> {
    fields.iter().flat_map(|field| [&(field.len() as u32).to_be_bytes(), *field].concat()).collect()
}
fn ed25519(seed: u8) -> Vec<u8> {
    blob(&[b"ssh-ed25519", &[seed; 32]])
}
/// Type and base64 of a key.
fn key(seed: u8) -> String {
    format!("ssh-ed25519 {}", BASE64_STANDARD.encode(ed25519(seed)))
}
fn who(name: &str) -> Principal {
    Principal::new(name).unwrap()
}
fn at(text: &str) -> At {
    At::try_from(text.to_owned()).unwrap()
}
const NOON: &str = "2026-11-21T12:00:00Z";

/// Whether that one line lets key 1 sign as that name, for a cross-check, at noon.
fn yes(line: &str, name: &str) -> bool {
    let allowed = Allowed::parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    allowed.is_signer(&who(name), &ed25519(1), APPROVE, at(NOON)).is_ok()
}
fn error(text: &str) -> AllowedError {
    match Allowed::parse(text) {
        Ok(_) => panic!("understood: {text:?}"),
        Err(error) => error,
    }
}

#[test]
fn names_match_as_openssh_matches_them() {
    let key = key(1);
    for (names, name, expected) in [
        ("dana@x", "dana@x", true),
        ("dana@x", "Dana@x", false),
        ("dana@x", "dana@", false),
        ("dana@x,sam@x", "sam@x", true),
        ("\"dana@x,sam@x\"", "sam@x", true),
        ("*@x", "sam@x", true),
        ("*@x,!sam@x", "sam@x", false),
        ("!sam@x,*@x", "sam@x", false),
        ("!sam@x,*@x", "dana@x", true),
        ("!sam@x", "dana@x", false),
        ("d?na@x", "dana@x", true),
        ("d?na@x", "dna@x", false),
        ("d?na@x", "düna@x", false), // two bytes
        ("d??na@x", "düna@x", true),
        ("*a*b*c", "xaxbxbc", true),
        ("*a*b*c", "xaxbxcb", false),
        ("**", "dana@x", true),
    ] {
        assert_eq!(yes(&format!("{names} {key}"), name), expected, "{names} {name}");
        assert_eq!(yes(&format!("\t {names}\t \t{key} a \"comment\" # 1\r\n"), name), expected, "{names} {name}");
    }
}

#[test]
fn namespaces_and_times_narrow_a_line() {
    let key = key(1);
    for (options, expected) in [
        ("namespaces=\"crosscheck-approve\"", true),
        ("NameSpaces=\"git,crosscheck-*\"", true),
        ("namespaces=\"crosscheck-join\"", false),
        ("namespaces=\"*,!crosscheck-approve\"", false),
        ("valid-after=\"20261121Z\"", true),
        ("valid-after=\"202611211200Z\"", true),
        ("valid-after=\"20261121120001Z\"", false),
        ("valid-before=\"20261121120000Z\"", true),
        ("valid-before=\"20261121115959Z\"", false),
        ("valid-before=\"20261121Z\"", false),
        // Local time, somewhere: it counts when it counts everywhere.
        ("valid-after=\"20261121\"", true),
        ("valid-after=\"20261121000001\"", false),
        ("valid-before=\"202611220200\"", true),
        ("valid-before=\"20261122015959\"", false),
        ("valid-after=\"20261121Z\",valid-before=\"20261122Z\",namespaces=\"crosscheck-approve\"", true),
    ] {
        assert_eq!(yes(&format!("dana@x {options} {key}"), "dana@x"), expected, "{options}");
    }
}

#[test]
fn the_reason_is_the_one_nearest_to_a_yes() {
    let text = format!(
        "sam@x {k}\ndana@x namespaces=\"git\" {k}\n# no line of hers\n\ndana@x valid-before=\"20200101Z\" {k}\nlee@x {other}\n",
        k = key(1),
        other = key(2)
    );
    let allowed = Allowed::parse(&text).unwrap();
    let why = |name: &str, seed, namespace: &str| {
        allowed.is_signer(&who(name), &ed25519(seed), namespace, at(NOON)).unwrap_err()
    };
    assert_eq!(why("dana@x", 3, APPROVE), Why::UnknownKey);
    assert_eq!(why("dana@x", 2, APPROVE), Why::OtherPrincipal { line: 6 });
    assert_eq!(why("dana@x", 1, APPROVE), Why::Expired { line: 5, since: at("2020-01-01T00:00:00Z") });
    assert!(allowed.is_signer(&who("dana@x"), &ed25519(1), "git", at(NOON)).is_ok());
    let later = Allowed::parse(&format!("dana@x valid-after=\"20300101Z\" {}", key(1))).unwrap();
    let why = later.is_signer(&who("dana@x"), &ed25519(1), APPROVE, at(NOON));
    assert_eq!(why, Err(Why::NotYetValid { line: 1, from: at("2030-01-01T00:00:00Z") }));
    // By fingerprint it is the same question.
    let print = super::super::blob::fingerprint(&ed25519(1));
    assert_eq!(later.is_signer_with(&who("dana@x"), &print, APPROVE, at(NOON)), why);
    assert!(later.is_signer_with(&who("dana@x"), &print, APPROVE, at("2030-01-01T00:00:00Z")).is_ok());
}

#[test]
fn what_cannot_be_understood_refuses_the_file_and_names_the_line() {
    let key = key(1);
    let mut cut = ed25519(1);
    cut.pop();
    let mut long = ed25519(1);
    long.push(0);
    let encoded = |kind: &str, blob: &[u8]| format!("dana@x {kind} {}", BASE64_STANDARD.encode(blob));
    let rsa = |e: &[u8]| encoded("ssh-rsa", &blob(&[b"ssh-rsa", e, &[0, 0x80, 1]]));
    assert!(Allowed::parse(&rsa(&[1, 0, 1])).is_ok());
    let cases: Vec<(String, &str)> = vec![
        ("dana@x".into(), "no key"),
        ("dana@x ".into(), "no key"),
        ("dana@x ssh-ed25519".into(), "OpenSSH writes it"),
        (format!("da\"na@x {key}"), "quote"), // ssh-keygen takes the quote out and goes on
        (format!("\"dana@x {key}"), "not closed"),
        (format!("\"dana@x\"{key}"), "no blank"),
        (format!("\"\" {key}"), "empty"),
        (format!("dana@x,,sam@x {key}"), "empty"),
        (format!("dana@x, {key}"), "empty"),
        (format!("! {key}"), "empty"),
        (format!("!!dana@x {key}"), "second !"),
        (format!("\"dana@x, sam@x\" {key}"), "blank"),
        (format!("{} {key}", "d".repeat(NAME)), "1001 bytes"),
        (format!("dana@x {key} {}", "c".repeat(17_000)), "most"),
        (format!("dana@x cert-authority {key}"), "certificate authority"),
        (format!("dana@x CERT-Authority,namespaces=\"git\" {key}"), "certificate authority"),
        (format!("dana@x namespaces=\"git\",cert-authority {key}"), "certificate authority"),
        (key.replace("ssh-ed25519", "dana@x ssh-ed25519-cert-v01@openssh.com"), "certificate"),
        (key.replace("ssh-ed25519", "dana@x ssh-dss"), "ssh-dss"),
        (key.replace("ssh-ed25519", "dana@x ssh-rsa"), "OpenSSH writes it"),
        (format!("dana@x namespaces=\"\" {key}"), "empty"),
        (format!("dana@x namespaces= {key}"), "no value"),
        (format!("dana@x namespaces=git {key}"), "no value"),
        (format!("dana@x namespaces {key}"), "no value"),
        (format!("dana@x namespaces=\"git {key}"), "no value"),
        (format!("dana@x namespaces=\"a\\\"b\" {key}"), "no value"),
        (format!("dana@x namespaces=\"git\",namespaces=\"git\" {key}"), "twice"),
        (format!("dana@x valid-after=\"20261121Z\",Valid-After=\"20261121Z\" {key}"), "twice"),
        (format!("dana@x namespaces=\"git\", {key}"), "neither"),
        (format!("dana@x ,namespaces=\"git\" {key}"), "neither"),
        (format!("dana@x namespaces=\"git\"valid-after=\"20261121Z\" {key}"), "no comma"),
        (format!("dana@x touch-required {key}"), "neither"),
        (format!("dana@x valid-after=\"\" {key}"), "not a time"),
        (format!("dana@x valid-after=\"2026-11-21\" {key}"), "not a time"),
        (format!("dana@x valid-after=\"20260230Z\" {key}"), "not a time"),
        (format!("dana@x valid-after=\"202611212400Z\" {key}"), "not a time"),
        (format!("dana@x valid-after=\"20261121235960Z\" {key}"), "not a time"),
        (format!("dana@x valid-after=\"19700101Z\" {key}"), "not a time"),
        (format!("dana@x valid-after=\"20261122Z\",valid-before=\"20261121Z\" {key}"), "no time"),
        (format!("dana@x valid-after=\"20261121\",valid-before=\"20261122\" {key}"), "no time"),
        (format!("dana@x {key}=="), "base64"),
        (format!("dana@x {key}\u{7}"), "hidden"),
        (format!("dana@x {key}\0"), "hidden"),
        (format!("dana@x {key} \u{202e}"), "hidden"),
        (format!("dana@x\r {key}"), "hidden"),
        (encoded("ssh-ed25519", &cut), "OpenSSH writes it"),
        (encoded("ssh-ed25519", &long), "OpenSSH writes it"),
        (rsa(&[0, 1, 0, 1]), "OpenSSH writes it"), // the same key in other bytes: it could stand under two names
        (rsa(&[0x81]), "OpenSSH writes it"),
        (rsa(&[]), "OpenSSH writes it"),
    ];
    const NAME: usize = 1001;
    for (line, expected) in &cases {
        let error = error(&format!("# first\n\nsam@x {key}\n{line}\nlee@x {key}\n"));
        assert_eq!(error.line, 4, "{line}: {error}");
        assert!(error.what.contains(expected), "{line}\n{error}\nexpected: {expected}");
        assert!(!error.hint.is_empty() && !error.to_string().chars().any(|c| is_hidden(c) && c != '\n'), "{error:?}");
    }
    assert_eq!(error(&"#\n".repeat(TEXT_BYTES_MAX)).line, 0);
    assert_eq!(Allowed::parse("").unwrap().entries, []);
}

#[test]
fn text_and_digest_are_those_of_the_file() {
    let text = format!("# ours\r\ndana@x {}\r\n", key(1));
    let allowed = Allowed::parse(&text).unwrap();
    assert_eq!(allowed.text(), text);
    assert_eq!(allowed.digest(), Hash::of(text.as_bytes()));
}

#[test]
fn a_quorum_of_names_must_be_a_quorum_of_people() {
    let (dana, sam) = (who("dana@x"), who("sam@x"));
    let told = |text: String| {
        let problems = Allowed::parse(&text).unwrap().crew_problems(&[&dana, &sam]);
        problems.iter().map(|problem| problem.to_string().lines().next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (one, two, three) = (key(1), key(2), key(3));
    let fine = format!("dana@x {one}\nsam@x {two}\n");
    let none: [String; 0] = [];
    assert_eq!(told(fine.clone()), none);
    // What cannot approve, and what is nobody's of the crew, is nobody's business.
    for more in [
        format!("* namespaces=\"git,crosscheck-join\" {one}"),
        format!("*@y {three}"),
        format!("lee@y,kim@y {three}"),
        format!("dana@x namespaces=\"crosscheck-join\" {one}"),
        format!("dana@x {three}"), // a second key of hers
        format!("sam@x namespaces=\"crosscheck-join\" {one}"),
    ] {
        assert_eq!(told(format!("{fine}{more}\n")), none, "{more}");
    }
    for (text, lines, problem) in [
        (format!("dana@x {one}\n"), "sam@x", "no line"),
        (format!("dana@x {one}\nSam@x {two}\n"), "sam@x", "no line"),
        (format!("dana@x {one}\nsam@x {one}\n"), "line 1 and 2", "several people"),
        (format!("dana@x,sam@x {one}\n"), "line 1", "several people"),
        (format!("{fine}lee@y {two}\n"), "line 2 and 3", "several people"),
        (format!("*@x {one}\n"), "line 1", "dana@x and sam@x"),
        (format!("{fine}sam@? {three}\n"), "line 3", "sam@x"),
        (format!("{fine}dana@x,!lee@x {three}\n"), "line 3", "dana@x"),
    ] {
        let told = told(text.clone());
        assert!(told.iter().any(|told| told.contains(lines) && told.contains(problem)), "{text}{told:?}");
    }
}
