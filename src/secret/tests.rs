//! Set J: secrets in many forms, cut at every place; and where values come from.

use super::fetch::fetch_within;
use super::redact::SHOWN_EARLY_MAX;
use super::*;
use crate::plan::{Command, Plan, Run, SecretSource, Template};
use proptest::prelude::*;
use std::io::Write as _;
use std::time::Duration;

/// What every tool has to quote somehow.
const VALUE: &str = "k\"y'é/+<&>?\\9~ z";

/// Made by the tools named, not by the code under test.
const FORMS: &[(&str, &str)] = &[
    ("as it is", "k\"y'é/+<&>?\\9~ z"),
    ("base64", "ayJ5J8OpLys8Jj4/XDl+IHo="),
    ("base64 without padding", "ayJ5J8OpLys8Jj4/XDl+IHo"),
    ("base64 of a line", "ayJ5J8OpLys8Jj4/XDl+IHoK"),
    ("base64url", "ayJ5J8OpLys8Jj4_XDl-IHo="),
    ("hexadecimal", "6b227927c3a92f2b3c263e3f5c397e207a"),
    ("HEXADECIMAL", "6B227927C3A92F2B3C263E3F5C397E207A"),
    ("hexadecimal with colons", "6b:22:79:27:c3:a9:2f:2b:3c:26:3e:3f:5c:39:7e:20:7a"),
    ("hexadecimal, od -tx1", "6b 22 79 27 c3 a9 2f 2b 3c 26 3e 3f 5c 39 7e 20 7a"),
    ("percent, quote(safe='')", "k%22y%27%C3%A9%2F%2B%3C%26%3E%3F%5C9~%20z"),
    ("percent, quote()", "k%22y%27%C3%A9/%2B%3C%26%3E%3F%5C9~%20z"),
    ("percent, lower", "k%22y%27%c3%a9%2f%2b%3c%26%3e%3f%5c9~%20z"),
    ("percent, encodeURIComponent", "k%22y'%C3%A9%2F%2B%3C%26%3E%3F%5C9~%20z"),
    ("percent, quote_plus", "k%22y%27%C3%A9%2F%2B%3C%26%3E%3F%5C9~+z"),
    ("percent, every byte", "%6B%22%79%27%C3%A9%2F%2B%3C%26%3E%3F%5C%39%7E%20%7A"),
    ("percent, twice", "k%2522y%2527%25C3%25A9%252F%252B%253C%2526%253E%253F%255C9~%2520z"),
    ("JSON", "k\\\"y'é/+<&>?\\\\9~ z"),
    ("JSON, ASCII", "k\\\"y'\\u00e9/+<&>?\\\\9~ z"),
    ("JSON, slashes", "k\\\"y'é\\/+<&>?\\\\9~ z"),
    ("JSON, Go", "k\\\"y'é/+\\u003c\\u0026\\u003e?\\\\9~ z"),
    ("JSON in JSON", "k\\\\\\\"y'é/+<&>?\\\\\\\\9~ z"),
    ("shell, single quotes", "k\"y'\\''é/+<&>?\\9~ z"),
    ("shell, shlex.quote", "k\"y'\"'\"'é/+<&>?\\9~ z"),
    ("shell, double quotes", "k\\\"y'é/+<&>?\\\\9~ z"),
    ("shell, printf %q", "k\\\"y\\'é/+\\<\\&\\>\\?\\\\9\\~\\ z"),
    ("SQL", "k\"y''é/+<&>?\\9~ z"),
    ("CSV", "k\"\"y'é/+<&>?\\9~ z"),
    ("HTML", "k&quot;y&#x27;é/+&lt;&amp;&gt;?\\9~ z"),
    ("XML", "k&quot;y&apos;é/+&lt;&amp;&gt;?\\9~ z"),
    ("HTML, text only", "k\"y'é/+&lt;&amp;&gt;?\\9~ z"),
    ("upper case", "K\"Y'É/+<&>?\\9~ Z"),
    ("backwards", "z ~9\\?>&<+/é'y\"k"),
];

/// With something before it in the same encoding: a basic-auth header, a token of several parts.
const EMBEDDED: &[(&str, &str, &str)] = &[
    ("base64 of u + it", "dWsieSfDqS8rPCY+P1w5fiB6", "WsieSfDqS8rPCY+P1w5fiB6"),
    ("base64 of u: + it", "dTprInknw6kvKzwmPj9cOX4geg==", "prInknw6kvKzwmPj9cOX4ge"),
    ("base64 of u: + it + line end", "dTprInknw6kvKzwmPj9cOX4gego=", "prInknw6kvKzwmPj9cOX4ge"),
];

fn needles(values: &[(&str, &str)]) -> Arc<Needles> {
    Arc::new(Needles::new(values.iter().copied()).unwrap().unwrap())
}

fn redacted<'b>(needles: &Arc<Needles>, pieces: impl IntoIterator<Item = &'b [u8]>) -> String {
    let mut redactor = Redactor::new(needles.clone());
    let mut out = vec![];
    pieces.into_iter().for_each(|piece| redactor.push(piece, &mut out));
    redactor.finish(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_form_is_found_wherever_it_is_cut() {
    let needles = needles(&[("KEY", VALUE)]);
    let mut cases = 0;
    for (form, text) in FORMS {
        let whole = format!("before {text} after\n");
        let wanted = "before [secret KEY] after\n";
        for cut in 0..=whole.len() {
            let (first, rest) = whole.as_bytes().split_at(cut);
            assert_eq!(redacted(&needles, [first, rest]), wanted, "{form} cut at {cut}");
            cases += 1;
        }
        assert_eq!(redacted(&needles, whole.as_bytes().chunks(1)), wanted, "{form}, byte by byte");
        // Alone, it ends the output.
        assert_eq!(redacted(&needles, [text.as_bytes()]), "[secret KEY]", "{form}");
        // A terminal's line ends, and a tool that wraps.
        let wrapped: Vec<u8> = text.as_bytes().chunks(5).collect::<Vec<_>>().join(&b"\r\n"[..]);
        for cut in 0..=wrapped.len() {
            let (first, rest) = wrapped.split_at(cut);
            assert_eq!(redacted(&needles, [first, rest]), "[secret KEY]", "{form}, wrapped, cut at {cut}");
            cases += 1;
        }
    }
    for (form, text, inner) in EMBEDDED {
        for cut in 0..=text.len() {
            let (first, rest) = text.as_bytes().split_at(cut);
            let out = redacted(&needles, [first, rest]);
            assert!(out.contains("[secret KEY]") && !out.contains(inner), "{form} cut at {cut}: {out}");
            // What is left are digits that also hold bits of the neighbours.
            assert!(out.len() <= "[secret KEY]".len() + "dTp".len() + "g==".len(), "{form} cut at {cut}: {out}");
            cases += 1;
        }
    }
    let _ = writeln!(std::io::stderr(), "set J: {cases} cases, {} forms", FORMS.len() + EMBEDDED.len());
    assert!(cases > 12 * VALUE.len());
}

#[test]
fn a_key_of_several_lines_is_found_with_a_terminal_s_line_ends_and_indented() {
    let key = "-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIB4cHvJ0aR3Zqk1mWv7A\nq8Yw2u1nQ0cZl5d1\n-----END KEY-----";
    let needles = needles(&[("PEM", key)]);
    for text in [key.to_owned(), key.replace('\n', "\r\n"), key.replace('\n', "\\n")] {
        let whole = format!("<{text}>");
        for cut in 0..=whole.len() {
            let (first, rest) = whole.as_bytes().split_at(cut);
            assert_eq!(redacted(&needles, [first, rest]), "<[secret PEM]>", "cut at {cut}");
        }
    }
    let indented = redacted(&needles, [key.replace('\n', "\n    ").as_bytes()]);
    assert!(!indented.contains("MC4CAQ") && !indented.contains("q8Yw2u1n"), "{indented}");
}

#[test]
fn a_secret_that_comes_slowly_is_shown_by_two_bytes_at_most() {
    let needles = needles(&[("KEY", "hunter2-hunter2")]);
    let mut redactor = Redactor::new(needles.clone());
    let mut out = vec![];
    for byte in "hunter2-hunter2".bytes() {
        redactor.push(&[byte], &mut out);
        redactor.show_early(&mut out);
        assert!(!redactor.waits());
    }
    redactor.finish(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "hu[secret KEY]");
    // A prompt that ends as the secret begins is whole after a while, and is not said twice.
    let (mut redactor, mut out) = (Redactor::new(needles), vec![]);
    redactor.push(b"go on? h", &mut out);
    assert_eq!((out.as_slice(), redactor.waits()), (&b"go on? "[..], true));
    redactor.show_early(&mut out);
    redactor.push(b"ow?\n", &mut out);
    assert_eq!((String::from_utf8(out).unwrap().as_str(), redactor.waits()), ("go on? how?\n", false));
    assert_eq!(SHOWN_EARLY_MAX, 2);
}

#[test]
fn secrets_that_overlap_leave_nothing_of_either() {
    let needles = needles(&[("A", "abcdefgh"), ("B", "efghijkl"), ("C", "cdefgh")]);
    for (text, wanted) in [
        ("abcdefghijkl", "[secret A]"),
        ("abcdefghabcdefgh", "[secret A][secret A]"),
        ("abcdefgh.efghijkl", "[secret A].[secret B]"),
        ("xcdefghijklx", "x[secret C]x"),
        ("abcdefg", "[secret A]"), // more than half of one, and the output ends
        ("abc", "abc"),
    ] {
        for size in 1..=text.len() {
            assert_eq!(redacted(&needles, text.as_bytes().chunks(size)), wanted, "{text} by {size}");
        }
    }
}

#[test]
fn output_that_ends_within_a_secret_shows_less_than_half_of_any() {
    let needles = needles(&[("LONG", &"0123456789".repeat(10)), ("SHORT", "56789x")]);
    for (text, wanted) in [
        ("0123456789", "01234[secret SHORT]"), // little of the long one, and most of the other
        ("01234567", "01234[secret SHORT]"),
        ("0123456", "0123456"),
        (&"0123456789".repeat(5), "[secret LONG]"),
    ] {
        assert_eq!(redacted(&needles, text.as_bytes().chunks(3)), wanted, "{text}");
    }
}

#[test]
fn a_sentence_that_was_cut_leaks_no_beginning() {
    let needles = needles(&[("KEY", "hunter2-hunter2")]);
    assert_eq!(needles.text("exit 1: token hunter2-hunter2 is wrong"), "exit 1: token [secret KEY] is wrong");
    assert_eq!(needles.text("exit 1: token hunt…; more"), "exit 1: token [secret KEY]…; more");
    assert_eq!(needles.text("é… hu"), "é… hu");
    assert_eq!(needles.find("x hunter2-\nhunter2"), Some("KEY"));
    assert_eq!(needles.find("x hunter2-"), None);
}

#[test]
fn what_waits_is_bounded_whatever_is_printed() {
    let needles = needles(&[("KEY", "hunter2-hunter2")]);
    let mut redactor = Redactor::new(needles.clone());
    let mut out = vec![];
    redactor.push(b"hunter2", &mut out);
    for _ in 0..1000 {
        redactor.push(b"\n\r\n\n", &mut out);
        assert!(redactor.waiting() <= 9 * needles.longest());
    }
    redactor.finish(&mut out);
    assert_eq!(out.len(), 7 + 4000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the value, with whatever around it: neither it nor what a tool makes of it comes out.
    #[test]
    fn any_value_is_found(value in "[ -~é\n\t日]{6,60}", before in "[a-z =:]{0,5}", after in "[a-z =:]{0,5}", size in 1usize..40) {
        use base64::Engine as _;
        prop_assume!(value.chars().filter(|c| !c.is_whitespace()).count() >= LENGTH_MIN);
        let value = Value::new(Zeroizing::new(value.into_bytes())).unwrap();
        let value = value.expose();
        let needles = needles(&[("K", value)]);
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        let forms = [
            value.to_owned(),
            value.replace('\n', "\r\n"),
            base64::engine::general_purpose::STANDARD.encode(value),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value),
            hex,
            {
                let text = serde_json::to_string(value).unwrap();
                text[1..text.len() - 1].to_owned()
            },
        ];
        for form in &forms {
            let text = format!("{before}{form}{after}");
            let out = redacted(&needles, text.as_bytes().chunks(size));
            prop_assert!(!out.contains(form.as_str()), "{form:?} in {out:?}");
            prop_assert!(out.contains("[secret K]"), "{form:?} in {out:?}");
        }
    }

    /// What comes out does not depend on the cuts, and holds no secret.
    #[test]
    fn cuts_change_nothing(text in "[ab\r\n]{0,60}", cuts in prop::collection::vec(1usize..9, 0..40)) {
        let needles = needles(&[("A", "aababb"), ("B", "bbbaaab"), ("C", "ababab")]);
        let whole = redacted(&needles, [text.as_bytes()]);
        let (mut rest, mut pieces) = (text.as_bytes(), vec![]);
        for cut in cuts {
            let (piece, more) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        pieces.push(rest);
        prop_assert_eq!(&redacted(&needles, pieces), &whole);
        if needles.find(&text).is_none() && !whole.contains("secret") {
            prop_assert_eq!(&whole, &text);
        }
        prop_assert!(!whole.contains("aababb") && !whole.contains("bbbaaab") && !whole.contains("ababab"), "{}", whole);
    }
}

fn words(words: &[&str]) -> SecretSource {
    let words = words.iter().map(|word| Template::new(word).unwrap()).collect();
    SecretSource::Command(Box::new(Command::of(Run::Argv(words))))
}

#[test]
fn a_command_for_a_secret_takes_the_forms_of_every_command() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    std::fs::write(folder.path().join("keys/key"), "s3cret-from-file\n").unwrap();
    for (command, value) in [
        ("['cat', 'keys/key']", "s3cret-from-file"),
        ("'cat keys/key | tr a-z A-Z'", "S3CRET-FROM-FILE"),
        ("{ run = ['cat', 'key'], cwd = 'keys' }", "s3cret-from-file"),
        ("{ run = 'cat $WHICH', cwd = 'keys', env = { WHICH = '{{ name }}' } }", "s3cret-from-file"),
    ] {
        let text = format!(
            "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\ncrew = {{ lead = [\"a\"] }}\n[params.name]\ndefault = \"key\"\n\
             [secrets]\nK = {{ command = {command} }}\n"
        );
        let plan = Plan::parse("plan.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        let params = plan.params(&Params::new()).unwrap();
        assert_eq!(fetch("K", &plan.secrets["K"], &params, folder.path()).unwrap().expose(), value, "{command}");
    }
}

#[test]
fn values_come_from_commands_files_and_variables() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "s3cret-from-file\r\n").unwrap();
    let params = Params::from([("name".to_owned(), "key".to_owned())]);
    let fetched = |source: &SecretSource| fetch("K", source, &params, folder.path());
    let file = SecretSource::File(Template::new("{{ name }}").unwrap());
    assert_eq!(fetched(&file).unwrap().expose(), "s3cret-from-file");
    assert_eq!(fetched(&words(&["cat", "{{ name }}"])).unwrap().expose(), "s3cret-from-file");
    assert_eq!(fetched(&SecretSource::Env("PATH".into())).unwrap().expose(), std::env::var("PATH").unwrap());
    assert_eq!(
        fetched(&words(&["printf", "two\nlines\n\n"])).unwrap().expose(),
        "two\nlines\n",
        "one line end is dropped"
    );
}

#[test]
fn what_cannot_be_used_is_refused_without_a_word_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("empty", b"\n");
    write("short", b"hunt  r\n");
    write("latin1", b"hunter2\xe9");
    write("nul", b"hunter2\0hunter2");
    write("long", "hunter2".repeat(600).as_bytes());
    write("fits", "h".repeat(BYTES_MAX).as_bytes());
    let file = |name: &str| SecretSource::File(Template::new(name).unwrap());
    let error = |source: &SecretSource| {
        let error = fetch_within("K", source, &Params::new(), folder.path(), Duration::from_millis(300)).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("secret K: ") && !error.contains("hunt"), "{error}");
        error
    };
    for (source, says) in [
        (file("empty"), "it is empty"),
        (file("short"), "fewer than 6 characters"),
        (file("latin1"), "not UTF-8"),
        (file("nul"), "a NUL"),
        (file("long"), "longer than 4 KiB"),
        (file("gone"), "No such file"),
        (file("."), "not a regular file"),
        (SecretSource::Env("NO_SUCH_VARIABLE".into()), "is not set; start the hub with it"),
        (words(&["false"]), "failed (exit status: 1); run it yourself"),
        (words(&["sh", "-c", "cat latin1 >&2; cat latin1; exit 3"]), "failed (exit status: 3)"),
        (words(&["no-such-program"]), "cannot be started"),
        (words(&["cat", "long"]), "prints more than 4 KiB"),
        (words(&["sleep", "60"]), "did not end within"),
    ] {
        let error = error(&source);
        assert!(error.contains(says), "{error}");
    }
    assert!(fetch("K", &file("fits"), &Params::new(), folder.path()).is_ok());
}

#[test]
fn nothing_prints_a_value() {
    let value = Value::new(Zeroizing::new(b"hunter2-hunter2".to_vec())).unwrap();
    let vault = Vault::default();
    assert_eq!(vault.text("hunter2-hunter2".into()), "hunter2-hunter2", "nothing is known yet");
    vault.add(&Values::from([("K".to_owned(), value.clone())])).unwrap();
    let redactor = Redactor::new(vault.needles().unwrap());
    let printed = format!("{value} {value:?} {vault:?} {redactor:?}");
    assert!(
        printed.starts_with("*** *** ") && !printed.contains("hunter") && !printed.contains("104, 117"),
        "{printed}"
    );
    // A value that was rotated is looked for all the same.
    let new = Value::new(Zeroizing::new(b"another-one".to_vec())).unwrap();
    vault.add(&Values::from([("K".to_owned(), new.clone())])).unwrap();
    assert_eq!(vault.text("hunter2-hunter2 another-one".into()), "[secret K] [secret K]");
    let salt = "0".repeat(64);
    assert_ne!(commitment(&salt, "K", &value), commitment(&salt, "K", &new));
    assert_eq!(commitment(&salt, "K", &value), Hash::of(format!("{salt}K=hunter2-hunter2").as_bytes()));
}
