//! What the helper is told, as its arguments.

use super::mechanism::Mechanism;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The first argument that makes this program the helper.
pub const COMMAND: &str = "__sandbox";

/// What the helper is to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Order {
    pub mechanism: Mechanism,
    pub read_only: Vec<PathBuf>,
    pub writable: Vec<PathBuf>,
    /// Where the program starts.
    pub folder: PathBuf,
    /// Where a failure is written.
    pub error: Option<PathBuf>,
}

impl Order {
    /// `__sandbox MECHANISM [-r PATH]… [-w PATH]… -d FOLDER [-e FILE]`
    pub fn to_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec![COMMAND.into(), self.mechanism.as_str().into()];
        let mut put = |option: &str, path: &Path| args.extend([option.into(), path.into()]);
        self.read_only.iter().for_each(|path| put("-r", path));
        self.writable.iter().for_each(|path| put("-w", path));
        put("-d", &self.folder);
        self.error.iter().for_each(|path| put("-e", path));
        args
    }

    /// Reads its arguments without the first, up to `--`.
    pub fn of_args(args: &mut impl Iterator<Item = OsString>) -> Option<Self> {
        let name = args.next()?;
        let known = [
            Mechanism::Namespace,
            Mechanism::Landlock,
            Mechanism::Seatbelt,
        ];
        let mut order = Self {
            mechanism: known.into_iter().find(|known| name == known.as_str())?,
            read_only: Vec::new(),
            writable: Vec::new(),
            folder: PathBuf::from("/"),
            error: None,
        };
        while let Some(option) = args.next().filter(|option| option != "--") {
            let path = PathBuf::from(args.next()?);
            match option.to_str()? {
                "-r" => order.read_only.push(path),
                "-w" => order.writable.push(path),
                "-d" => order.folder = path,
                "-e" => order.error = Some(path),
                _ => return None,
            }
        }
        Some(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn the_arguments_of_an_order_are_read_back() {
        let odd = PathBuf::from(OsString::from_vec(b"/r\xff/--".to_vec()));
        let order = Order {
            mechanism: Mechanism::Landlock,
            read_only: vec!["/a b".into(), odd],
            writable: vec!["-r".into()],
            folder: "/w".into(),
            error: Some("/s/t.error".into()),
        };
        let args = order.to_args().into_iter().skip(1);
        let mut args = args.chain(["--", "program", "-x"].map(Into::into));
        assert_eq!(Order::of_args(&mut args), Some(order));
        assert_eq!(args.collect::<Vec<_>>(), ["program", "-x"]);
        for wrong in [
            &["none"][..],
            &["namespace", "-x", "/"],
            &["namespace", "-r"],
            &[],
        ] {
            let mut args = wrong.iter().map(OsString::from);
            assert_eq!(Order::of_args(&mut args), None, "{wrong:?}");
        }
    }
}
