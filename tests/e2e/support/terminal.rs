//! A terminal of the test's own: what a command writes when it believes that a person looks.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use super::{Cli, PATIENCE, eventually, holds_within, running::interrupt, screen::Screen};

/// What is on the screen, in characters.
pub(crate) const ROWS: u16 = 40;
pub(crate) const COLUMNS: u16 = 120;

/// A command on a terminal; killed when dropped.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    written: Arc<Mutex<Vec<Piece>>>,
}

/// What came at once, and when.
type Piece = (Instant, Vec<u8>);

impl Cli {
    /// Starts a command whose three streams are a terminal.
    pub(crate) fn on_terminal(&self, line: &str) -> Terminal {
        let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&main).unwrap();
        unlockpt(&main).unwrap();
        let path = ptsname(&main, Vec::new()).unwrap().into_string().unwrap();
        let size = Winsize {
            ws_row: ROWS,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&main, size).unwrap();
        let end = || -> OwnedFd {
            let file = OpenOptions::new().read(true).write(true).open(&path);
            file.unwrap().into()
        };
        let mut command = self.command(line);
        command
            .stdin(Stdio::from(end()))
            .stdout(Stdio::from(end()))
            .stderr(Stdio::from(end()));
        let child = command.spawn().expect("the binary starts");
        // The command holds our copies of its end; while they live, reading never ends.
        drop(command);
        let keyboard = File::from(main);
        let written = Arc::new(Mutex::new(Vec::new()));
        let (mut screen, into) = (keyboard.try_clone().unwrap(), Arc::clone(&written));
        thread::spawn(move || {
            let mut piece = [0_u8; 16 << 10];
            while let Ok(n @ 1..) = screen.read(&mut piece) {
                into.lock()
                    .unwrap()
                    .push((Instant::now(), piece[..n].to_vec()));
            }
        });
        Terminal {
            child,
            keyboard,
            written,
        }
    }
}

// === impl Terminal ===

impl Terminal {
    /// Every byte written so far.
    pub(crate) fn raw(&self) -> String {
        let written = self.written.lock().unwrap();
        let bytes: Vec<u8> = written.iter().flat_map(|(_, b)| b.clone()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What stands on the screen now.
    pub(crate) fn screen(&self) -> Screen {
        let mut screen = Screen::new(usize::from(ROWS), usize::from(COLUMNS));
        screen.write(&self.raw());
        screen
    }

    /// How often something was written after a silence of this long.
    pub(crate) fn bursts(&self, silence: Duration) -> usize {
        let written = self.written.lock().unwrap();
        let pauses = written
            .windows(2)
            .filter(|two| two[1].0 - two[0].0 >= silence);
        pauses.count() + usize::from(!written.is_empty())
    }

    /// Waits until the screen satisfies this.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, cond: impl Fn(&Screen) -> bool) {
        let came = holds_within(PATIENCE, || cond(&self.screen()));
        assert!(came, "never {what}; on the screen:\n{}", self.screen());
    }

    /// Waits until the screen shows these words.
    #[track_caller]
    pub(crate) fn shows(&self, words: &str) {
        self.wait(words, |screen| screen.to_string().contains(words));
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn interrupt(&self) {
        interrupt(self.child.id());
    }

    /// Waits for its end; the code, and all that it wrote.
    #[track_caller]
    pub(crate) fn ended(mut self) -> (Option<i32>, String, Screen) {
        let mut status = None;
        eventually(PATIENCE * 2, "the command's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        // Its last words may still be on their way through the terminal.
        let mut last = self.raw();
        eventually(PATIENCE, "the terminal is quiet", || {
            thread::sleep(Duration::from_millis(50));
            let now = self.raw();
            let quiet = now == last;
            last = now;
            quiet
        });
        (status.unwrap().code(), last, self.screen())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
