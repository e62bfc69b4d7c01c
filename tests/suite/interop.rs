//! Set A: signatures that we make hold for the real `ssh-keygen`, and those of `ssh-keygen` and of a real `ssh-agent` hold
//! for us; and what either must refuse, both refuse.

use super::support::program::program;
use super::support::real::installed;
use super::support::wait::{PATIENCE, poll};
use crosscheck::identity::Key;
use crosscheck::trust::agent::{self, AgentError};
use crosscheck::trust::key::PublicKey;
use crosscheck::trust::signer::{SignError, Signer};
use crosscheck::trust::sshsig::{self, verify};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const NAMESPACE: &str = "crosscheck-approve";
const MESSAGE: &[u8] = b"crosscheck-approve v1\nstep: drop\nattempt: 1\n";
/// Every type of key that needs no hardware: as files are called, and how `ssh-keygen` makes one.
const TYPES: [(&str, &[&str]); 5] = [
    ("ed25519", &["-t", "ed25519"]),
    ("ecdsa256", &["-t", "ecdsa", "-b", "256"]),
    ("ecdsa384", &["-t", "ecdsa", "-b", "384"]),
    ("rsa2048", &["-t", "rsa", "-b", "2048"]),
    ("rsa3072", &["-t", "rsa", "-b", "3072"]),
];
/// What only a security key in somebody's hand can show.
const NEED_HARDWARE: [&str; 4] = [
    "sk-ssh-ed25519: ssh-keygen signs, by a touch",
    "sk-ssh-ed25519: ssh-agent signs, by a touch",
    "sk-ecdsa-sha2-nistp256: ssh-keygen signs, by a touch",
    "sk-ecdsa-sha2-nistp256: ssh-agent signs, by a touch",
];

/// A folder with keys of every type, and an agent of its own.
struct Bench {
    folder: tempfile::TempDir,
    agent: Child,
    cases: Vec<String>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

impl Bench {
    fn new() -> Bench {
        // A socket's path has room for some 100 characters.
        let folder = tempfile::Builder::new().prefix("ccA").tempdir().unwrap();
        let socket = folder.path().join("agent");
        // In the foreground, so that it is our child and nobody else's.
        let mut agent = Command::new("ssh-agent");
        agent.arg("-D").arg("-a").arg(&socket).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let agent = agent.spawn().unwrap();
        let bench = Bench { folder, agent, cases: vec![] };
        poll(PATIENCE, || std::os::unix::net::UnixStream::connect(&socket).ok()).expect("the agent listens");
        for (name, how) in TYPES {
            bench.make(name, how);
        }
        bench
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn socket(&self) -> PathBuf {
        self.path("agent")
    }
    fn make(&self, name: &str, how: &[&str]) {
        let made = self.run("ssh-keygen", &[&["-q", "-N", "", "-C", "test key", "-f", name], how].concat(), b"");
        assert!(made.status.success(), "{name}: {}", words(&made.stderr));
    }
    fn public(&self, name: &str) -> PublicKey {
        fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap().parse().unwrap()
    }
    fn file(&self, name: &str) -> Signer {
        Signer::File { path: self.path(name), public: self.public(name) }
    }
    fn held(&self, name: &str) -> Signer {
        let identity = agent::Identity { key: self.public(name), comment: "test key".to_owned() };
        Signer::Agent { socket: self.socket(), identity, own: None }
    }
    fn add(&self, args: &[&str]) -> Output {
        self.run("ssh-add", args, b"")
    }
    /// A program of OpenSSH, with nothing of this person's around it.
    fn run(&self, program: &str, args: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("SSH_AUTH_SOCK", self.socket());
        command.env("SSH_ASKPASS", "/bin/false").env("SSH_ASKPASS_REQUIRE", "force");
        let given = self.path("input");
        fs::write(&given, input).unwrap();
        command.stdin(fs::File::open(given).unwrap()).output().unwrap()
    }
    /// Whether `ssh-keygen -Y verify` takes it.
    fn keygen_takes(&self, key: &PublicKey, armor: &str, namespace: &str, message: &[u8]) -> bool {
        fs::write(self.path("allowed"), format!("dana@example.org {key}\n")).unwrap();
        fs::write(self.path("sig"), armor).unwrap();
        let args = ["-Y", "verify", "-f", "allowed", "-I", "dana@example.org", "-n", namespace, "-s", "sig"];
        self.run("ssh-keygen", &args, message).status.success()
    }
    fn keygen_signs(&self, name: &str, hash: &str) -> String {
        let args = ["-Y", "sign", "-O", hash, "-n", NAMESPACE, "-f", name];
        let mut command = Command::new("ssh-keygen");
        command.args(args).current_dir(self.folder.path()).env_remove("SSH_AUTH_SOCK");
        fs::write(self.path("message"), MESSAGE).unwrap();
        let signed = command.stdin(fs::File::open(self.path("message")).unwrap()).output().unwrap();
        assert!(signed.status.success(), "{name}: {}", words(&signed.stderr));
        String::from_utf8(signed.stdout).unwrap()
    }
    fn case(&mut self, name: impl Into<String>, holds: bool) {
        let name = name.into();
        assert!(holds, "set A: {name}");
        self.cases.push(name);
    }
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What no signature of [`MESSAGE`] for [`NAMESPACE`] is one of: how it differs, the armor, the namespace, the message.
fn wrong(good: &str, other: &str) -> Vec<(&'static str, String, &'static str, Vec<u8>)> {
    let text = words(MESSAGE);
    let same = good.to_owned();
    let lines: Vec<&str> = good.lines().collect();
    let cut = format!("{}\n{}\n", lines[..lines.len() - 2].join("\n"), lines[lines.len() - 1]);
    let turned = {
        // In the middle of the block, where the signature is; another letter, and base64 still.
        let at = good.len() * 3 / 4;
        let at = if good.as_bytes()[at] == b'\n' { at + 1 } else { at };
        let with = if good.as_bytes()[at] == b'A' { "B" } else { "A" };
        format!("{}{with}{}", &good[..at], &good[at + 1..])
    };
    vec![
        ("another namespace", same.clone(), "crosscheck-join", MESSAGE.to_vec()),
        ("a namespace in capitals", same.clone(), "Crosscheck-Approve", MESSAGE.to_vec()),
        ("another message", same.clone(), NAMESPACE, text.replace("drop", "keep").into_bytes()),
        ("line ends of CR LF", same.clone(), NAMESPACE, text.replace('\n', "\r\n").into_bytes()),
        ("no last line end", same.clone(), NAMESPACE, text.trim_end().to_owned().into_bytes()),
        ("one line end more", same.clone(), NAMESPACE, format!("{text}\n").into_bytes()),
        ("an empty message", same, NAMESPACE, vec![]),
        ("another key's signature", other.to_owned(), NAMESPACE, MESSAGE.to_vec()),
        ("its last line cut off", cut, NAMESPACE, MESSAGE.to_vec()),
        ("no END line", good.replace("-----END SSH SIGNATURE-----\n", ""), NAMESPACE, MESSAGE.to_vec()),
        ("a letter turned", turned, NAMESPACE, MESSAGE.to_vec()),
    ]
}

#[tokio::test]
async fn signatures_hold_both_ways_with_openssh() {
    let tools = [("ssh-keygen", "-?"), ("ssh-agent", "-?"), ("ssh-add", "-?")];
    if tools.into_iter().any(|(tool, version)| installed(tool, version).is_none()) {
        return;
    }
    let mut bench = Bench::new();

    // Ours, by the key of a session.
    let own = Key::fresh().unwrap();
    let (public, armor) = (own.public().clone(), own.sign_sshsig(NAMESPACE, MESSAGE));
    let holds = bench.keygen_takes(&public, &armor, NAMESPACE, MESSAGE);
    bench.case("ed25519: our own key signs, ssh-keygen takes it", holds);
    let by_keygen = bench.run("ssh-keygen", &["-l", "-f", "/dev/stdin"], format!("{public}\n").as_bytes());
    bench.case("ed25519: its fingerprint is ssh-keygen's", words(&by_keygen.stdout).contains(&public.fingerprint()));

    let another = Key::fresh().unwrap().sign_sshsig(NAMESPACE, MESSAGE);
    for (name, _) in TYPES {
        let key = bench.public(name);
        let listed = words(&bench.run("ssh-keygen", &["-l", "-f", &format!("{name}.pub")], b"").stdout);
        bench.case(format!("{name}: its fingerprint is ssh-keygen's"), listed.contains(&key.fingerprint()));

        // Theirs, checked by us.
        for hash in ["hashalg=sha512", "hashalg=sha256"] {
            let by_keygen = bench.keygen_signs(name, hash);
            let signed =
                verify(&by_keygen, NAMESPACE, MESSAGE).unwrap_or_else(|error| panic!("{name} {hash}: {error}"));
            bench.case(format!("{name}: ssh-keygen signs with {hash}, we take it"), signed.key == key);
            assert!(signed.touch.is_none(), "{name} is no security key");
        }

        // Through ssh-keygen and through the agent, checked by both.
        let by_file = bench.file(name).sign(NAMESPACE, MESSAGE).await.unwrap();
        let holds = bench.keygen_takes(&key, &by_file, NAMESPACE, MESSAGE);
        bench.case(format!("{name}: we sign with the file, ssh-keygen takes it"), holds);
        let gone = bench.held(name).sign(NAMESPACE, MESSAGE).await;
        bench.case(
            format!("{name}: an agent without the key says so"),
            matches!(gone, Err(SignError::Agent(AgentError::Gone { .. }))),
        );
        assert!(bench.add(&["-q", name]).status.success(), "{name} is added");
        let by_agent = bench.held(name).sign(NAMESPACE, MESSAGE).await.unwrap();
        let holds = bench.keygen_takes(&key, &by_agent, NAMESPACE, MESSAGE);
        bench.case(format!("{name}: the agent signs, ssh-keygen takes it"), holds);
        let ours = verify(&by_agent, NAMESPACE, MESSAGE).is_ok_and(|signed| signed.key == key);
        bench.case(format!("{name}: the agent signs, we take it"), ours);

        for (what, armor, namespace, message) in wrong(&by_agent, &another) {
            // Whose it is the caller compares; ssh-keygen is told whose it should be.
            let ours = verify(&armor, namespace, &message).is_ok_and(|signed| signed.key == key);
            let theirs = bench.keygen_takes(&key, &armor, namespace, &message);
            bench.case(format!("{name}: {what}: refused by us"), !ours);
            bench.case(format!("{name}: {what}: refused by ssh-keygen"), !theirs);
        }
    }
    let held = agent::identities(&bench.socket()).await.unwrap();
    let all = TYPES.iter().all(|(name, _)| held.iter().any(|identity| identity.key == bench.public(name)));
    bench.case("the agent's list has every key", all && held.len() == TYPES.len());
    bench.case("a comment comes with it", held.iter().all(|identity| identity.comment == "test key"));

    // Where we are stricter than ssh-keygen, or some version of it.
    let (key, good) = (bench.public("ed25519"), bench.keygen_signs("ed25519", "hashalg=sha512"));
    let followed = format!("{good}more\n");
    let theirs = bench.keygen_takes(&key, &followed, NAMESPACE, MESSAGE);
    let ours = verify(&followed, NAMESPACE, MESSAGE).is_ok();
    bench.case("ssh-keygen passes over text after the block, we refuse it", theirs && !ours);
    for (what, armor) in [("CR LF in the block", good.replace('\n', "\r\n")), ("a blank before it", format!(" {good}"))]
    {
        bench.case(format!("{what}: refused by us"), verify(&armor, NAMESPACE, MESSAGE).is_err());
    }

    refused_keys(&mut bench).await;
    files_that_do_not_sign(&mut bench).await;
    security_keys(&mut bench);
    found_by_the_program(&mut bench);

    // Past the test runner, which keeps what a passing test prints.
    let mut told = std::io::stderr();
    let _ = writeln!(told, "set A: {} cases", bench.cases.len());
    for case in NEED_HARDWARE {
        let _ = writeln!(told, "set A: needs hardware, not run: {case}");
    }
    assert!(bench.cases.len() >= 40);
}

/// Types that are not taken are refused by name; a key bound to certain hosts, with what to do about it.
async fn refused_keys(bench: &mut Bench) {
    bench.make("p521", &["-t", "ecdsa", "-b", "521"]);
    let text = fs::read_to_string(bench.path("p521.pub")).unwrap();
    let told = text.parse::<PublicKey>().unwrap_err().to_string();
    bench.case("p521: the key is refused by name", told.contains("P-521"));
    let told = verify(&bench.keygen_signs("p521", "hashalg=sha512"), NAMESPACE, MESSAGE).unwrap_err().to_string();
    bench.case("p521: its signature too", told.contains("P-521"));
    // OpenSSH itself makes RSA keys of 1024 bits.
    bench.make("rsa1024", &["-t", "rsa", "-b", "1024"]);
    let text = fs::read_to_string(bench.path("rsa1024.pub")).unwrap();
    bench.case(
        "rsa1024: the key is refused by its size",
        text.parse::<PublicKey>().unwrap_err().to_string().contains("1024 bits"),
    );
    let told = verify(&bench.keygen_signs("rsa1024", "hashalg=sha512"), NAMESPACE, MESSAGE).unwrap_err().to_string();
    bench.case("rsa1024: its signature too", told.contains("1024 bits"));
    assert!(bench.add(&["-q", "p521"]).status.success());
    let held = agent::identities(&bench.socket()).await.unwrap();
    bench.case("p521: an agent's list goes on without it", held.len() == TYPES.len());

    // A certificate: the agent lists it beside its key.
    let signed = bench.run("ssh-keygen", &["-q", "-s", "ecdsa256", "-I", "id", "-n", "dana", "ed25519.pub"], b"");
    assert!(signed.status.success(), "{}", words(&signed.stderr));
    let text = fs::read_to_string(bench.path("ed25519-cert.pub")).unwrap();
    bench.case(
        "a certificate is refused by name",
        text.parse::<PublicKey>().unwrap_err().to_string().contains("certificates"),
    );

    // Destination-constrained: for one host only, whose key has to be known.
    bench.make("bound", &["-t", "ed25519"]);
    fs::write(bench.path("hosts"), format!("far.example.org {}\n", bench.public("rsa2048"))).unwrap();
    let added = bench.add(&["-q", "-H", "hosts", "-h", "far.example.org", "bound"]);
    if added.status.success() {
        let told = bench.held("bound").sign(NAMESPACE, MESSAGE).await.unwrap_err();
        let hint = told.to_string().contains("without -h");
        bench.case(
            "a key for certain hosts only refuses, with our hint",
            matches!(told, SignError::Agent(AgentError::Refused)) && hint,
        );
    } else {
        println!("set A: this ssh-add knows no -h, not run: a key for certain hosts only ({})", words(&added.stderr));
    }

    // A locked agent shows nothing and signs nothing.
    let ask = bench.path("ask");
    fs::write(&ask, "#!/bin/sh\necho word\n").unwrap();
    fs::set_permissions(&ask, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let lock = |flag: &str| {
        let mut command = Command::new("ssh-add");
        command
            .arg(flag)
            .env("SSH_AUTH_SOCK", bench.socket())
            .env("SSH_ASKPASS", &ask)
            .env("SSH_ASKPASS_REQUIRE", "force");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    };
    assert!(lock("-x"), "locked");
    let told = bench.held("ed25519").sign(NAMESPACE, MESSAGE).await.unwrap_err().to_string();
    assert!(lock("-X"), "unlocked");
    bench.case("a locked agent signs nothing, with our hint", told.contains("ssh-add -X"));
    let again = bench.held("ed25519").sign(NAMESPACE, MESSAGE).await;
    bench.case("an unlocked one does", again.is_ok());
}

/// Files that cannot sign say so, and nothing comes back from one that signs with another key.
async fn files_that_do_not_sign(bench: &mut Bench) {
    fs::copy(bench.path("rsa2048.pub"), bench.path("swapped.pub")).unwrap();
    fs::copy(bench.path("ed25519"), bench.path("swapped")).unwrap();
    let told = bench.file("swapped").sign(NAMESPACE, MESSAGE).await;
    bench.case("a .pub of another key: no signature comes back", told.is_err());
    fs::copy(bench.path("ed25519.pub"), bench.path("alone.pub")).unwrap();
    let told = bench.file("alone").sign(NAMESPACE, MESSAGE).await;
    bench.case("a private half that is gone is said", matches!(told, Err(SignError::Keygen { .. })));
    let told = Signer::find(Some(&bench.path("alone.pub")), |_| true).await;
    bench.case("and found out before", told.is_err_and(|error| error.to_string().contains("ssh-add")));
    let told = Signer::find(Some(&bench.path("nothing")), |_| true).await;
    bench.case("a file that is not there is named", told.is_err_and(|error| error.to_string().contains("nothing.pub")));
    let found = Signer::find(Some(&bench.path("ecdsa384")), |_| false).await.unwrap();
    bench.case("a file is found by its name", *found.public() == bench.public("ecdsa384"));
    let found = Signer::find(Some(&bench.path("ecdsa384.pub")), |_| false).await.unwrap();
    bench.case("and by its public half's", *found.public() == bench.public("ecdsa384"));
}

/// OpenSSH's own vectors: what a security key signed needs no hardware to be checked.
fn security_keys(bench: &mut Bench) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/openssh");
    let read = |name: &str| fs::read_to_string(data.join(name)).unwrap();
    let (namespace, message) = (read("namespace"), read("signed-data"));
    for name in ["ed25519_sk", "ecdsa_sk"] {
        let (key, armor) = (read(&format!("{name}.pub")).parse::<PublicKey>().unwrap(), read(&format!("{name}.sig")));
        let signed = verify(&armor, &namespace, message.as_bytes());
        bench.case(
            format!("{name}: OpenSSH's vector holds, and was touched"),
            signed.is_ok_and(|signed| signed.touched() && signed.key == key),
        );
        let theirs = bench.keygen_takes(&key, &armor, &namespace, message.as_bytes());
        bench.case(format!("{name}: ssh-keygen takes it too"), theirs);
        let other = verify(&armor, &namespace, b"other");
        bench.case(format!("{name}: of another message it does not hold"), other == Err(sshsig::SigError::Wrong));
        let other = verify(&armor, NAMESPACE, message.as_bytes());
        bench.case(
            format!("{name}: nor for another namespace"),
            matches!(other, Err(sshsig::SigError::Namespace { .. })),
        );
    }
    let browser = verify(&read("ecdsa_sk_webauthn.sig"), &namespace, message.as_bytes());
    bench.case("a browser's signature is refused by name", browser.unwrap_err().to_string().contains("webauthn-sk"));
}

/// `crosscheck whoami` prints a line that `ssh-keygen` reads, of the key that would sign.
fn found_by_the_program(bench: &mut Bench) {
    let home = bench.path("home");
    fs::create_dir_all(home.join(".ssh")).unwrap();
    let whoami = |agent: Option<&Path>, args: &[&str]| {
        let mut command = program(&home);
        command.arg("whoami").args(args).stdin(Stdio::null());
        if let Some(socket) = agent {
            command.env("SSH_AUTH_SOCK", socket);
        }
        let done = command.output().unwrap();
        (done.status.code(), words(&done.stdout), words(&done.stderr))
    };
    let line = |name: &str, key: &PublicKey| {
        format!("{name} namespaces=\"crosscheck-join,crosscheck-approve,crosscheck-hub,crosscheck-close\" {key}\n")
    };
    let (agent, first) = (bench.socket(), bench.public(TYPES[0].0));
    let as_dana = ["--as", "dana@example.org"];

    let (status, out, err) = whoami(Some(&agent), &as_dana);
    let said = out == line("dana@example.org", &first) && err.contains("agent") && err.contains(&first.fingerprint());
    assert!(said, "{out}{err}");
    bench.case("whoami: the agent's first key", status == Some(0));
    // The very line vouches for that key's signature, and for nothing in another namespace.
    fs::write(bench.path("allowed_signers"), &out).unwrap();
    for (namespace, expected) in [(NAMESPACE, true), ("git", false)] {
        let args = ["-Y", "sign", "-n", namespace, "-f", "ed25519"];
        let armor = bench.run("ssh-keygen", &args, MESSAGE).stdout;
        fs::write(bench.path("whoami.sig"), armor).unwrap();
        let args =
            ["-Y", "verify", "-f", "allowed_signers", "-I", "dana@example.org", "-n", namespace, "-s", "whoami.sig"];
        let taken = bench.run("ssh-keygen", &args, MESSAGE).status.success();
        bench.case(format!("whoami: its line and the namespace {namespace}"), taken == expected);
    }
    let (_, out, err) = whoami(Some(&agent), &[]);
    bench.case(
        "whoami: without a name it says where that belongs",
        out == line("PRINCIPAL", &first) && err.contains("--as"),
    );

    let file = bench.path("rsa3072");
    let (_, out, err) = whoami(Some(&agent), &["--as", "dana@example.org", "--key", file.to_str().unwrap()]);
    bench.case(
        "whoami: a named file, which the agent holds",
        out == line("dana@example.org", &bench.public("rsa3072")) && err.contains("agent"),
    );
    let (_, out, err) = whoami(None, &["--as", "dana@example.org", "--key", file.to_str().unwrap()]);
    bench.case(
        "whoami: a named file, without an agent",
        out == line("dana@example.org", &bench.public("rsa3072")) && err.contains("rsa3072"),
    );
    let (status, out, err) = whoami(None, &["--key", "/nowhere/key"]);
    bench.case(
        "whoami: a file that is not there",
        status == Some(3) && out.is_empty() && err.contains("/nowhere/key.pub"),
    );

    let (_, out, err) = whoami(None, &as_dana);
    bench.case("whoami: nothing at all says what to do", out.starts_with("no key yet") && err.contains("ssh-add"));
    for name in ["ecdsa256", "ecdsa256.pub"] {
        fs::copy(bench.path(name), home.join(".ssh").join(name.replace("ecdsa256", "id_ecdsa"))).unwrap();
    }
    let (_, out, err) = whoami(None, &as_dana);
    bench.case(
        "whoami: a usual file",
        out == line("dana@example.org", &bench.public("ecdsa256")) && err.contains("id_ecdsa"),
    );
    let (_, out, _) = whoami(Some(&agent), &as_dana);
    bench.case("whoami: the agent comes before it", out == line("dana@example.org", &first));
    let (status, _, err) = whoami(Some(&agent), &["--as", "da na"]);
    bench.case("whoami: a name that is none", status == Some(2) && err.contains("principal"));
}
