//! libseccomp, loaded at run time, and profiles loaded into it as the container runtimes do. For tests and benchmarks.
#![expect(unsafe_code, reason = "calls a C library")]

use core::{
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    mem::transmute,
};
use std::{
    fs::File,
    io::{Read as _, Seek as _},
    os::fd::{AsRawFd as _, FromRawFd as _},
};

use serde_json::Value;

type Context = *mut c_void;

/// `struct scmp_arg_cmp`.
#[repr(C)]
struct ArgCmp {
    arg: c_uint,
    op: c_int,
    a: u64,
    b: u64,
}

type Init = unsafe extern "C" fn(u32) -> Context;
type Release = unsafe extern "C" fn(Context);
type Resolve = unsafe extern "C" fn(*const c_char) -> c_int;
type Add = unsafe extern "C" fn(Context, u32, c_int, c_uint, *const ArgCmp) -> c_int;
type Set = unsafe extern "C" fn(Context, c_int, u32) -> c_int;
type Export = unsafe extern "C" fn(Context, c_int) -> c_int;

/// The functions of the library that are used here.
pub(crate) struct Libseccomp {
    init: Init,
    release: Release,
    resolve: Resolve,
    add: Add,
    set: Set,
    export: Export,
    /// The numbers of names that the library does not know; what has none is left out, as by the container runtimes.
    pub(crate) number: fn(&str) -> Option<c_int>,
}

const ALLOW: u32 = 0x7fff_0000;
/// `__NR_SCMP_ERROR`
const UNKNOWN: c_int = -1;
/// `SCMP_FLTATR_CTL_OPTIMIZE`
const OPTIMIZE: c_int = 8;
/// Its value for the chain of numbers, which runc and crun use; the library also has a tree.
pub(crate) const CHAIN: u32 = 1;

impl Libseccomp {
    /// The library of this machine, if it has one.
    pub(crate) fn load() -> Option<Self> {
        // SAFETY: the name is a C string; the library's initialisers touch nothing of ours.
        let library = unsafe { libc::dlopen(c"libseccomp.so.2".as_ptr(), libc::RTLD_NOW) };
        if library.is_null() {
            return None;
        }
        let symbol = |name: &CStr| {
            // SAFETY: the library is loaded and never unloaded, the name is a C string.
            let symbol = unsafe { libc::dlsym(library, name.as_ptr()) };
            assert!(!symbol.is_null(), "libseccomp has no {name:?}");
            symbol
        };
        Some(Self {
            // SAFETY: the type is that of seccomp.h of version 2.5, as with those below.
            init: unsafe { transmute::<*mut c_void, Init>(symbol(c"seccomp_init")) },
            // SAFETY: as above.
            release: unsafe { transmute::<*mut c_void, Release>(symbol(c"seccomp_release")) },
            // SAFETY: as above.
            resolve: unsafe {
                transmute::<*mut c_void, Resolve>(symbol(c"seccomp_syscall_resolve_name"))
            },
            // SAFETY: as above.
            add: unsafe { transmute::<*mut c_void, Add>(symbol(c"seccomp_rule_add_array")) },
            // SAFETY: as above.
            set: unsafe { transmute::<*mut c_void, Set>(symbol(c"seccomp_attr_set")) },
            // SAFETY: as above.
            export: unsafe { transmute::<*mut c_void, Export>(symbol(c"seccomp_export_bpf")) },
            number: |_| None,
        })
    }

    /// The program of a profile, as `struct sock_filter`s, read as runc reads it. `selects` says which entries count.
    ///
    /// `Err` has what the library refused.
    pub(crate) fn program(
        &self,
        profile: &Value,
        layout: u32,
        selects: impl Fn(&Value) -> bool,
    ) -> Result<Vec<[u8; 8]>, String> {
        let default = action(profile, "defaultAction", "defaultErrnoRet");
        // SAFETY: takes a number.
        let context = unsafe { (self.init)(default) };
        assert!(!context.is_null());
        // SAFETY: the context is live.
        let set = unsafe { (self.set)(context, OPTIMIZE, layout) };
        assert_eq!(set, 0);
        let mut result = Ok(());
        for entry in list(profile, "syscalls")
            .iter()
            .filter(|entry| selects(entry))
        {
            let said = action(entry, "action", "errnoRet");
            if said == default {
                continue;
            }
            for name in list(entry, "names") {
                result = result.and(self.add_entry(context, name.as_str().unwrap(), said, entry));
            }
        }
        let program = result.and_then(|()| self.exported(context));
        // SAFETY: the context is live and not used any more.
        unsafe { (self.release)(context) };
        program
    }

    fn add_entry(
        &self,
        context: Context,
        name: &str,
        action: u32,
        entry: &Value,
    ) -> Result<(), String> {
        let c_name = std::ffi::CString::new(name).unwrap();
        // SAFETY: the name is a C string.
        let resolved = unsafe { (self.resolve)(c_name.as_ptr()) };
        let known = Some(resolved).filter(|number| *number != UNKNOWN);
        let Some(number) = known.or_else(|| (self.number)(name)) else {
            return Ok(());
        };
        let args: Vec<_> = list(entry, "args").iter().map(compare).collect();
        let asked: std::collections::BTreeSet<_> = args.iter().map(|arg| arg.arg).collect();
        let rules: Vec<&[ArgCmp]> = if asked.len() < args.len() {
            args.chunks(1).collect()
        } else {
            vec![&args]
        };
        for rule in rules {
            let count = c_uint::try_from(rule.len()).unwrap();
            // SAFETY: the context is live, and `rule` has `count` elements.
            let added = unsafe { (self.add)(context, action, number, count, rule.as_ptr()) };
            if added != 0 {
                return Err(format!("{name}: {added}"));
            }
        }
        Ok(())
    }

    fn exported(&self, context: Context) -> Result<Vec<[u8; 8]>, String> {
        // SAFETY: the name is a C string.
        let fd = unsafe { libc::memfd_create(c"filter".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(fd >= 0);
        // SAFETY: the descriptor is new and nobody else's.
        let mut file = unsafe { File::from_raw_fd(fd) };
        // SAFETY: the context is live, and so is the descriptor.
        let exported = unsafe { (self.export)(context, file.as_raw_fd()) };
        if exported != 0 {
            return Err(format!("export: {exported}"));
        }
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        Ok(bytes
            .chunks_exact(8)
            .map(|chunk| chunk.try_into().unwrap())
            .collect())
    }
}

fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object
        .get(field)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn action(object: &Value, field: &str, errno: &str) -> u32 {
    let errno = object.get(errno).and_then(Value::as_u64).unwrap_or(1);
    match object[field].as_str().unwrap() {
        "SCMP_ACT_ALLOW" => ALLOW,
        "SCMP_ACT_LOG" => 0x7ffc_0000,
        "SCMP_ACT_ERRNO" => 0x0005_0000 | u32::try_from(errno).unwrap(),
        "SCMP_ACT_TRAP" => 0x0003_0000,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => 0,
        "SCMP_ACT_KILL_PROCESS" => 0x8000_0000,
        other => panic!("{other}"),
    }
}

fn compare(arg: &Value) -> ArgCmp {
    let number = |field: &str| arg.get(field).and_then(Value::as_u64).unwrap_or(0);
    let operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
    let name = arg["op"]
        .as_str()
        .unwrap()
        .strip_prefix("SCMP_CMP_")
        .unwrap();
    let place = operators.iter().position(|one| *one == name).unwrap();
    ArgCmp {
        arg: c_uint::try_from(number("index")).unwrap(),
        op: c_int::try_from(place + 1).unwrap(),
        a: number("value"),
        b: number("valueTwo"),
    }
}
