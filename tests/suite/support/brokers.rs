//! Kafka brokers that a test starts, kills, freezes and brings back itself, and Kafka's own tools. The jars come from
//! `tests/run`, as does the one broker that every other test shares.

use super::real::part;
use super::wait::poll;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a broker may take to start: it is a Java program on a machine that runs other tests.
const START: Duration = Duration::from_secs(180);

/// The folder with the jars.
pub fn jars() -> Option<String> {
    part("CROSSCHECK_TEST_KAFKA_JARS")
}

fn java(jars: &str) -> Command {
    let mut java = Command::new("java");
    java.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &format!("{jars}/*")])
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .stdin(Stdio::null());
    java
}

/// What Kafka's own `kafka-consumer-groups --describe` prints of a group: lag by topic and partition, nothing where it prints
/// a dash.
pub fn described(jars: &str, brokers: &str, group: &str) -> BTreeMap<(String, i32), Option<u64>> {
    let tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    let output = java(jars).args([tool, "--bootstrap-server", brokers, "--describe", "--group", group]).output();
    let output = output.expect("java starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let mut lines = out.lines().skip_while(|line| !line.starts_with("GROUP"));
    let Some(header) = lines.next() else {
        assert!(output.status.success() && !err.contains("Error"), "kafka-consumer-groups: {out}{err}");
        return BTreeMap::new();
    };
    let column = |name| header.split_whitespace().position(|word| word == name).expect("a column of that name");
    let (topic, partition, lag) = (column("TOPIC"), column("PARTITION"), column("LAG"));
    let rows = lines.map(|line| line.split_whitespace().collect::<Vec<_>>()).filter(|row| row.len() > lag);
    rows.map(|row| ((row[topic].to_owned(), row[partition].parse().expect("a number")), row[lag].parse().ok()))
        .collect()
}

/// Runs one of Kafka's own tools to its end, whatever that is.
pub fn tool(jars: &str, words: &[&str]) {
    let output = java(jars).args(words).output();
    assert!(output.is_ok(), "java starts: {output:?}");
}

/// Brokers of one cluster, each a process of its own.
pub struct Brokers {
    jars: String,
    folder: tempfile::TempDir,
    ports: Vec<u16>,
    /// Where a listener answers that the settings may name `SECURE`.
    secure: Vec<u16>,
    running: Vec<Option<Child>>,
}

impl Brokers {
    /// Starts so many, each a controller too, with these settings besides, and waits until each one serves. In the settings
    /// `PORT`, `SECURE`, `CONTROLLER` after a colon are ports of that broker.
    pub fn start(count: usize, settings: &str) -> Option<Brokers> {
        let jars = jars()?;
        let folder = tempfile::tempdir().expect("a folder");
        let free = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        // All held at once, so that no two are the same.
        let held: Vec<_> = (0..count * 3).map(|_| free()).collect();
        let port = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
        let ports: Vec<u16> = held.iter().map(port).collect();
        drop(held);
        let (ports, more) = ports.split_at(count);
        let (secure, controllers) = more.split_at(count);
        let voters: Vec<_> = (1..).zip(controllers).map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
        let copies = count.min(3);
        for index in 0..count {
            let (id, port, controller) = (index + 1, ports[index], controllers[index]);
            let settings = settings
                .replace(":PORT", &format!(":{port}"))
                .replace(":SECURE", &format!(":{}", secure[index]))
                .replace(":CONTROLLER", &format!(":{controller}"));
            let text = format!(
                "process.roles=broker,controller\nnode.id={id}\ncontroller.quorum.voters={}\n\
                 listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
                 advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
                 log.dirs={}\ngroup.initial.rebalance.delay.ms=0\noffsets.topic.num.partitions=1\n\
                 offsets.topic.replication.factor={copies}\nmin.insync.replicas=1\ndefault.replication.factor={copies}\n\
                 transaction.state.log.num.partitions=1\ntransaction.state.log.replication.factor={copies}\n\
                 transaction.state.log.min.isr=1\nbroker.session.timeout.ms=6000\n{settings}\n",
                voters.join(","),
                folder.path().join(format!("log-{id}")).display(),
            );
            std::fs::write(folder.path().join(format!("{id}.properties")), text).expect("it can be written");
        }
        let cluster = "Y3Jvc3NjaGVjay10ZXN0cw";
        let formatted: Vec<Child> = (1..=count)
            .map(|id| {
                let mut format = java(&jars);
                format.args(["kafka.tools.StorageTool", "format", "-t", cluster, "-c"]);
                format.arg(folder.path().join(format!("{id}.properties")));
                format.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("java starts")
            })
            .collect();
        for mut format in formatted {
            assert!(format.wait().expect("it ends").success(), "a broker's folder could not be made");
        }
        let running = (0..count).map(|_| None).collect();
        let mut brokers = Brokers { jars, folder, ports: ports.to_vec(), secure: secure.to_vec(), running };
        (0..count).for_each(|index| brokers.launch(index));
        (0..count).for_each(|index| brokers.until_serving(index));
        Some(brokers)
    }

    /// Where they answer, as a client wants it.
    pub fn addresses(&self) -> String {
        self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
    }

    /// Where the secure listeners answer.
    pub fn secure(&self) -> String {
        self.secure.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
    }

    /// Starts a broker that is not running.
    pub fn launch(&mut self, index: usize) {
        let said = File::options().create(true).append(true).open(self.said(index)).expect("a log");
        let mut broker = java(&self.jars);
        broker.arg("-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info");
        broker.arg("kafka.Kafka").arg(self.folder.path().join(format!("{}.properties", index + 1)));
        broker.stdout(said.try_clone().expect("a log")).stderr(said);
        self.running[index] = Some(broker.spawn().expect("java starts"));
    }

    /// Waits until it says that it serves, after the last launch.
    pub fn until_serving(&mut self, index: usize) {
        let (said, port) = (self.said(index), self.ports[index]);
        let started =
            |path: &Path| std::fs::read_to_string(path).unwrap_or_default().matches("Kafka Server started").count();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let child = self.running[index].as_mut().expect("it was launched");
        let served = poll(START, || {
            assert!(child.try_wait().expect("it is a child").is_none(), "a broker ended: {}", tail(&said));
            (started(&said) > 0 && TcpStream::connect(address).is_ok()).then_some(())
        });
        assert!(served.is_some(), "a broker did not start: {}", tail(&said));
    }

    fn said(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("{}.txt", index + 1))
    }

    /// Ends a broker as a power cut would.
    pub fn kill(&mut self, index: usize) {
        let mut child = self.running[index].take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        std::fs::remove_file(self.said(index)).expect("what it said says nothing of the next one");
    }

    /// Stops a broker without ending it: connections stay, and nothing answers.
    pub fn freeze(&self, index: usize) {
        self.signal(index, Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self, index: usize) {
        self.signal(index, Signal::SIGCONT);
    }

    fn signal(&self, index: usize, signal: Signal) {
        let child = self.running[index].as_ref().expect("it runs");
        kill(Pid::from_raw(child.id().try_into().expect("a process id")), signal).expect("it is our child");
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        for child in self.running.iter_mut().flatten() {
            let _ = child.kill(); // a frozen one too
            let _ = child.wait();
        }
    }
}

fn tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
