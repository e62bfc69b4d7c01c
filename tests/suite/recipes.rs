//! Recipes of the manual that ask for every item of a list: Kafka Connect, on a worker that is started here, and Kubernetes,
//! on answers in the form of `kubectl` (no cluster can be had in a test).

use crate::backups::recipe;
use crate::support::real::part;
use crate::support::wait::poll;
use crate::support::watch::{read, says};
use crosscheck::event::Status;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a worker may take to start: it is a Java program that looks through every jar.
const START: Duration = Duration::from_secs(180);

/// A worker that ends with the test.
struct Worker(Child);
impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn connect(jars: &str, brokers: &str, folder: &Path, port: u16) -> Worker {
    let path = |name: &str| folder.join(name).display().to_string();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/Flaky.java");
    let built = Command::new("javac").args(["-cp", &format!("{jars}/*"), "-d", &path("classes")]).arg(source).status();
    assert!(built.expect("javac starts").success());
    let text = "org.apache.kafka.connect.storage.StringConverter";
    let worker = format!(
        "bootstrap.servers={brokers}\nlisteners=HTTP://127.0.0.1:{port}\nkey.converter={text}\nvalue.converter={text}\n\
         offset.storage.file.filename={}\nplugin.discovery=only_scan\n",
        path("offsets")
    );
    std::fs::write(path("worker.properties"), worker).expect("written");
    let connector = format!("name=shop\nconnector.class=Flaky\ntasks.max=2\nfails={}\n", path("fail"));
    std::fs::write(path("shop.properties"), connector).expect("written");
    let mut java = Command::new("java");
    java.args([
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    ]);
    java.args(["-cp", &format!("{}:{jars}/*", path("classes")), "org.apache.kafka.connect.cli.ConnectStandalone"]);
    java.args([path("worker.properties"), path("shop.properties")]).stdin(Stdio::null());
    let log = std::fs::File::create(path("log")).expect("it is ours");
    java.stdout(log.try_clone().expect("a second one")).stderr(log);
    Worker(java.spawn().expect("java starts"))
}

#[test]
fn the_recipe_for_kafka_connect_tells_a_task_that_failed() {
    let (Some(brokers), Some(jars)) = (part("CROSSCHECK_TEST_KAFKA"), part("CROSSCHECK_TEST_KAFKA_JARS")) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port").port();
    let lines = recipe("connect", &[("connect.example.org:8083", &format!("127.0.0.1:{port}"))]);
    let now = || read(folder.path(), &lines);
    says(&now(), Status::Unknown, "connection refused");
    let _worker = connect(&jars, &brokers, folder.path(), port);
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let well = poll(START, || Some(now()).filter(|reading| reading.status == Status::Ok));
    says(
        &well.unwrap_or_else(|| panic!("{:?}\n{}", now(), log())),
        Status::Ok,
        "/*/status/tasks/*/state is \"RUNNING\", 2 of 2",
    );
    std::fs::write(folder.path().join("fail"), b"").expect("written");
    let bad = poll(START, || Some(now()).filter(|reading| reading.status != Status::Ok));
    // The connector itself goes on running, and so does its other task.
    let bad = bad.unwrap_or_else(|| panic!("{:?}\n{}", now(), log()));
    says(&bad, Status::Fail, "/shop/status/tasks/1/state is \"FAILED\", not \"RUNNING\"");
    let url = format!("http://127.0.0.1:{port}/connectors/shop");
    let gone = Command::new("curl").args(["-fsS", "-X", "DELETE", &url]).status();
    assert!(gone.expect("curl starts").success());
    let none = poll(START, || Some(now()).filter(|reading| reading.status == Status::Unknown));
    says(&none.expect("it is gone"), Status::Unknown, "no item is there");
}

#[test]
fn the_recipe_for_kubernetes_tells_a_container_that_is_not_ready() {
    let folder = tempfile::tempdir().expect("a folder");
    let pod = |phase: &str, ready: &[bool]| {
        let containers: Vec<_> =
            ready.iter().map(|ready| serde_json::json!({"name": "c", "ready": ready, "restartCount": 0})).collect();
        serde_json::json!({"kind": "Pod", "metadata": {"name": "p"}, "status": {"phase": phase, "containerStatuses": containers}})
    };
    let lines = recipe("pods", &[("kubectl get pods", "cat answer #")]);
    for (pods, status, words) in [
        (vec![pod("Running", &[true, true]), pod("Running", &[true])], Status::Ok, "is true, 3 of 3"),
        (
            vec![pod("Running", &[true, false]), pod("Running", &[true])],
            Status::Fail,
            "/items/0/status/containerStatuses/1/ready is false",
        ),
        (vec![pod("Pending", &[true]), pod("Running", &[true])], Status::Fail, "/items/0/status/phase is \"Pending\""),
        (
            vec![serde_json::json!({"status": {"phase": "Running"}})],
            Status::Unknown,
            "nothing at /items/0/status/containerStatuses",
        ),
        (vec![], Status::Unknown, "no item is there"),
    ] {
        let answer = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": pods}).to_string();
        std::fs::write(folder.path().join("answer"), answer).expect("written");
        says(&read(folder.path(), &lines), status, words);
    }
}
