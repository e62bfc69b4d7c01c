//! A service on this machine: whether it is alive, and how often it was started anew.
//!
//! Where several processes have the name, the service is the one that started the others; where no one did, which of them
//! is meant is not known. A process is told from a later one with its number by when it started.

use super::{Findings, excerpt, text};
use crate::clock::age;
use crate::event::{Reading, Status};
use crate::plan::{self, Params};
use std::ffi::OsStr;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

/// Linux keeps this much of a process's name.
pub(super) const NAME_BYTES: usize = 15;
/// When a process started is counted from when the machine did, which shifts by a second as clocks are set.
const JITTER: u64 = 2;
/// A service writes its number after it has started; by how much clocks may make it look otherwise.
const REUSED_AFTER: Duration = Duration::from_secs(60);
/// A number and a line end. A longer file is no pid file.
const PID_FILE_BYTES_MAX: u64 = 64;

/// Which service, and what was seen of it so far.
pub(super) struct Process {
    name: Option<String>,
    pid_file: Option<PathBuf>,
    user: Option<String>,
    max_restarts: Option<u64>,
    system: System,
    /// The one seen last, and how many came after the first.
    last: Option<Alive>,
    restarts: u64,
}

/// A process that is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Alive {
    pid: Pid,
    /// Seconds since 1970.
    started: u64,
}

/// Why there is none: known to be gone, or not known.
enum Missing {
    Gone(String),
    Unclear(String),
}

impl Process {
    /// Fills the templates in.
    pub(super) fn new(expect: &plan::Process, params: &Params, folder: &Path) -> Result<Self, String> {
        let fill = |template: &Option<plan::Template>| {
            template.as_ref().map(|template| template.render(params)).transpose().map_err(text)
        };
        Ok(Process {
            name: fill(&expect.name)?,
            pid_file: fill(&expect.pid_file)?.map(|path| folder.join(path)),
            user: fill(&expect.user)?,
            max_restarts: expect.max_restarts,
            system: System::new().map_err(|error| format!("cannot look at this machine: {error}"))?,
            last: None,
            restarts: 0,
        })
    }

    /// Looks once.
    pub(super) fn read(&mut self) -> Reading {
        let what = match (&self.name, &self.pid_file) {
            (Some(name), _) => excerpt(name, 40),
            (None, Some(path)) => excerpt(&path.to_string_lossy(), 60),
            (None, None) => return Reading::unknown("the plan does not say which process"),
        };
        let mut findings = Findings::default();
        match self.find() {
            Ok((alive, beside)) => {
                let anew = self
                    .last
                    .is_some_and(|last| last.pid != alive.pid || last.started.abs_diff(alive.started) > JITTER);
                self.restarts += u64::from(anew);
                self.last = Some(alive);
                let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
                let up = since.saturating_sub(Duration::from_secs(alive.started));
                let beside = match beside {
                    0 => String::new(),
                    more => format!(" and {more} of its own"),
                };
                let restarts = match self.restarts {
                    0 => String::new(),
                    1 => ", restarted once".to_owned(),
                    times => format!(", restarted {times} times"),
                };
                let seen = format!("{what} is alive (pid {}{beside}), up {}{restarts}", alive.pid, age(up));
                if let Some(most) = self.max_restarts.filter(|_| self.restarts > 0) {
                    let status = if self.restarts > most { Status::Fail } else { Status::Warn };
                    findings.add(status, format!("at most {most} restarts expected"));
                }
                findings.reading(&seen, Some(self.restarts as f64), "restarts")
            }
            Err(Missing::Gone(why)) => {
                findings.add(Status::Fail, why);
                findings.reading("", None, "")
            }
            Err(Missing::Unclear(why)) => Reading::unknown(why),
        }
    }

    /// The service, and how many processes of its name it started.
    fn find(&mut self) -> Result<(Alive, usize), Missing> {
        let user = self.user.as_deref().map(uid).transpose().map_err(Missing::Unclear)?;
        let pid = self.pid_file.as_deref().map(pid_in).transpose()?;
        let long = self.name.as_ref().is_some_and(|name| name.len() > NAME_BYTES);
        let what = ProcessRefreshKind::nothing().without_tasks().with_user(UpdateKind::OnlyIfNotSet);
        let what = if long { what.with_cmd(UpdateKind::OnlyIfNotSet) } else { what };
        let first = Pid::from_u32(1);
        match pid {
            Some((pid, _)) => {
                self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[first, pid]), true, what)
            }
            None => self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, what),
        };
        // Where /proc hides other people's processes, "not seen" would not mean "not there".
        if self.system.process(first).is_none() {
            return Err(Missing::Unclear("not known: this machine hides its processes".into()));
        }
        match pid {
            Some((pid, written)) => self.by_number(pid, written, user),
            None => self.by_name(user),
        }
    }

    fn by_number(&self, pid: Pid, written: SystemTime, user: Option<u32>) -> Result<(Alive, usize), Missing> {
        let process = self.system.process(pid).filter(|process| lives(process));
        let process = process.ok_or_else(|| Missing::Gone(format!("process {pid} of its pid file is not alive")))?;
        if let Some(name) = self.name.as_deref().filter(|name| !is_called(process, name)) {
            let is = excerpt(&process.name().to_string_lossy(), 40);
            return Err(Missing::Gone(format!("process {pid} of its pid file is {is}, not {}", excerpt(name, 40))));
        }
        if let Some(user) = user.filter(|user| uid_of(process) != Some(*user)) {
            let is = uid_of(process).map_or("somebody unknown".to_owned(), |uid| format!("user {uid}"));
            return Err(Missing::Gone(format!("process {pid} of its pid file runs as {is}, not {user}")));
        }
        let started = SystemTime::UNIX_EPOCH + Duration::from_secs(process.start_time());
        if started.duration_since(written).is_ok_and(|later| later > REUSED_AFTER) {
            let why = format!("process {pid} started after its pid file was written: it may be another one");
            return Err(Missing::Unclear(why));
        }
        Ok((Alive { pid, started: process.start_time() }, 0))
    }

    fn by_name(&self, user: Option<u32>) -> Result<(Alive, usize), Missing> {
        let name = self.name.as_deref().unwrap_or_default();
        let is_it = |process: &&sysinfo::Process| {
            lives(process) && is_called(process, name) && user.is_none_or(|user| uid_of(process) == Some(user))
        };
        let all: Vec<&sysinfo::Process> = self.system.processes().values().filter(is_it).collect();
        let started_by_one_of_them =
            |process: &&&sysinfo::Process| process.parent().is_some_and(|parent| all.iter().any(|p| p.pid() == parent));
        let roots: Vec<_> = all.iter().filter(|process| !started_by_one_of_them(process)).collect();
        let shown = excerpt(name, 40);
        match roots[..] {
            [] => Err(Missing::Gone(format!("no process {shown} is alive"))),
            [root] => Ok((Alive { pid: root.pid(), started: root.start_time() }, all.len() - 1)),
            _ => {
                let why = format!("{} processes are called {shown}: say which with `pid_file` or `user`", roots.len());
                Err(Missing::Unclear(why))
            }
        }
    }
}

/// Whether it runs: one that has ended and waits to be asked how is not alive.
pub(super) fn lives(process: &sysinfo::Process) -> bool {
    ![ProcessStatus::Zombie, ProcessStatus::Dead].contains(&process.status())
}

/// Whether that is its name. A longer one than the kernel keeps is taken from its command line, which has to be known.
pub(super) fn is_called(process: &sysinfo::Process, name: &str) -> bool {
    match name.len() > NAME_BYTES {
        false => process.name() == OsStr::new(name),
        true => process.cmd().first().and_then(|path| Path::new(path).file_name()) == Some(OsStr::new(name)),
    }
}

fn uid_of(process: &sysinfo::Process) -> Option<u32> {
    process.user_id().map(|uid| **uid)
}

/// A user's number, from a number or a name.
fn uid(user: &str) -> Result<u32, String> {
    if let Ok(number) = user.parse() {
        return Ok(number);
    }
    let shown = excerpt(user, 40);
    match nix::unistd::User::from_name(user) {
        Ok(Some(found)) => Ok(found.uid.as_raw()),
        Ok(None) => Err(format!("this machine has no user {shown}")),
        Err(error) => Err(format!("user {shown} not known: {error}")),
    }
}

/// The number in a pid file, and when it was written.
fn pid_in(path: &Path) -> Result<(Pid, SystemTime), Missing> {
    let shown = excerpt(&path.to_string_lossy(), 60);
    let unclear = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Missing::Gone(format!("there is no pid file {shown}")),
        _ => Missing::Unclear(format!("pid file {shown} cannot be read: {error}")),
    };
    let file = std::fs::File::open(path).map_err(unclear)?;
    let meta = file.metadata().map_err(unclear)?;
    if !meta.is_file() {
        return Err(Missing::Unclear(format!("{shown} is no file")));
    }
    let mut text = String::new();
    file.take(PID_FILE_BYTES_MAX).read_to_string(&mut text).map_err(unclear)?;
    // Some services write more lines after the first.
    let number = text.lines().next().and_then(|line| line.trim().parse::<u32>().ok()).filter(|number| *number > 0);
    let number = number.ok_or_else(|| {
        Missing::Unclear(format!("pid file {shown} holds no process number but {:?}", excerpt(&text, 20)))
    })?;
    Ok((Pid::from_u32(number), meta.modified().map_err(unclear)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Template;
    use std::process::{Child, Command, Stdio};

    /// A program under that name that lives until it is dropped.
    struct Service(Child);
    impl Service {
        fn start(folder: &Path, name: &str) -> Service {
            let path = folder.join(name);
            let _ = std::os::unix::fs::symlink("/bin/cat", &path); // there already the second time
            Service(Command::new(&path).stdin(Stdio::piped()).spawn().unwrap())
        }
        fn pid(&self) -> String {
            self.0.id().to_string()
        }
    }
    impl Drop for Service {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    fn watch(folder: &Path, name: Option<&str>, pid_file: Option<&str>, user: Option<&str>) -> Process {
        let text = |text: Option<&str>| text.map(|text| Template::new(text).unwrap());
        let (name, pid_file, user) = (text(name), text(pid_file), text(user));
        let expect = plan::Process { name, pid_file, user, max_restarts: Some(1) };
        Process::new(&expect, &Params::new(), folder).unwrap()
    }

    #[test]
    fn a_restart_is_counted_and_too_many_are_red() {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("svc-{}", std::process::id());
        let mut watch = watch(folder.path(), Some(&name), None, None);
        let gone = watch.read();
        assert_eq!((gone.status, gone.value), (Status::Fail, None));
        assert_eq!(gone.why, format!("no process {name} is alive"));
        for (restarts, status) in [(0.0, Status::Ok), (1.0, Status::Warn), (2.0, Status::Fail)] {
            let service = Service::start(folder.path(), &name);
            for _ in 0..2 {
                let reading = watch.read();
                assert_eq!((reading.status, reading.value), (status, Some(restarts)), "{}", reading.why);
                assert!(reading.why.contains(&format!("{name} is alive (pid {}), up ", service.pid())), "{reading:?}");
            }
            drop(service);
            assert_eq!(watch.read().status, Status::Fail);
        }
    }

    #[test]
    fn several_of_one_name_are_one_service_only_where_one_started_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("two-{}", std::process::id());
        let (_first, second) = (Service::start(folder.path(), &name), Service::start(folder.path(), &name));
        let reading = watch(folder.path(), Some(&name), None, None).read();
        assert_eq!((reading.status, reading.value), (Status::Unknown, None));
        assert!(reading.why.starts_with(&format!("2 processes are called {name}")), "{}", reading.why);
        std::fs::write(folder.path().join("pid"), format!("{}\n", second.pid())).unwrap();
        let reading = watch(folder.path(), Some(&name), Some("pid"), None).read();
        assert_eq!(reading.status, Status::Ok, "{}", reading.why);
        // A shell under that name, and its child of the same name.
        let name = format!("tree-{}", std::process::id());
        let path = folder.path().join(&name);
        std::os::unix::fs::symlink("/bin/bash", &path).unwrap();
        let mut tree = Command::new(&path);
        let tree = tree.args(["-c", "\"$0\" -c 'echo up; read line'; true"]).arg(&path);
        let mut tree = Service(tree.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
        let mut up = [0; 3];
        tree.0.stdout.take().unwrap().read_exact(&mut up).unwrap();
        let reading = watch(folder.path(), Some(&name), None, None).read();
        let wanted = format!("{name} is alive (pid {} and 1 of its own)", tree.pid());
        assert!(reading.status == Status::Ok && reading.why.starts_with(&wanted), "{}", reading.why);
        drop(tree.0.stdin.take()); // ends the child, and then the shell
    }

    #[test]
    fn a_pid_file_is_believed_as_far_as_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::start(folder.path(), "served");
        let path = folder.path().join("pid");
        let mut ended = Command::new("/bin/true").spawn().unwrap();
        let ended_pid = ended.id().to_string();
        ended.wait().unwrap();
        let read = |text: &str, name: Option<&str>, user: Option<&str>| {
            std::fs::write(&path, text).unwrap();
            watch(folder.path(), name, Some("pid"), user).read()
        };
        let me = nix::unistd::getuid().as_raw();
        let (mine, other) = (me.to_string(), (me + 1).to_string());
        for (text, name, user, status, why) in [
            (&*service.pid(), None, None, Status::Ok, "is alive (pid"),
            (&*service.pid(), Some("served"), Some(&*mine), Status::Ok, "served is alive"),
            (&*service.pid(), Some("another"), None, Status::Fail, "is served, not another"),
            (&*service.pid(), None, Some(&*other), Status::Fail, "runs as user"),
            (&*service.pid(), None, Some("no-such-user"), Status::Unknown, "this machine has no user no-such-user"),
            (&*ended_pid, None, None, Status::Fail, "is not alive"),
            ("", None, None, Status::Unknown, "holds no process number"),
            ("0", None, None, Status::Unknown, "holds no process number"),
            ("x\u{1b}[31m", None, None, Status::Unknown, "holds no process number but"),
        ] {
            let reading = read(text, name, user);
            assert_eq!(reading.status, status, "{text:?}: {}", reading.why);
            assert!(reading.why.contains(why) && !reading.why.chars().any(crate::name::is_hidden), "{}", reading.why);
        }
        // Written long before the process that has its number now began.
        std::fs::write(&path, service.pid()).unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        let reading = watch(folder.path(), None, Some("pid"), None).read();
        assert_eq!(reading.status, Status::Unknown, "{}", reading.why);
        assert!(reading.why.contains("started after its pid file was written"), "{}", reading.why);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(watch(folder.path(), None, Some("pid"), None).read().status, Status::Fail);
        assert_eq!(watch(folder.path(), None, Some("."), None).read().status, Status::Unknown);
    }
}
