//! Whether a program needs libraries of the host that it runs on.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// It needs the dynamic linker and libraries of the host.
    Dynamic,
    /// It needs nothing but the kernel.
    Static,
    /// It is not an ELF program.
    Foreign,
}

/// How much is read: the program headers follow the first header.
const HEAD_BYTES: u64 = 64 * 1024;
const MAGIC: &[u8] = b"\x7fELF";
/// The type of the program header that names the dynamic linker.
const PT_INTERP: u64 = 3;

/// How the program at `path` is linked.
pub fn linkage(path: &Path) -> io::Result<Linkage> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(linkage_of(&head).unwrap_or(Linkage::Foreign))
}

/// From the first bytes of a program (System V ABI, "ELF header" and "program header"); `None` if they are not those of an ELF file.
fn linkage_of(head: &[u8]) -> Option<Linkage> {
    head.strip_prefix(MAGIC)?;
    let is_wide = *head.get(4)? == 2;
    let is_big = *head.get(5)? == 2;
    let number = |at: usize, bytes: usize| {
        let field = head.get(at..at.checked_add(bytes)?)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(match is_big {
            true => field.iter().fold(0, add),
            false => field.iter().rev().fold(0, add),
        })
    };
    // e_phoff, e_phentsize, e_phnum
    let (offset, size, count) = match is_wide {
        true => (number(32, 8)?, number(54, 2)?, number(56, 2)?),
        false => (number(28, 4)?, number(42, 2)?, number(44, 2)?),
    };
    for index in 0..count {
        let at = offset.checked_add(index.checked_mul(size)?)?;
        if number(usize::try_from(at).ok()?, 4)? == PT_INTERP {
            return Some(Linkage::Dynamic);
        }
    }
    Some(Linkage::Static)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of an ELF file of 64 bits with program headers of these types.
    fn elf(types: &[u8]) -> Vec<u8> {
        let mut head = vec![0; 64];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (head[32], head[54], head[56]) = (64, 56, types.len() as u8);
        for kind in types {
            head.push(*kind);
            head.extend([0; 55]);
        }
        head
    }

    #[test]
    fn a_program_with_an_interpreter_is_dynamic() {
        assert_eq!(linkage_of(&elf(&[6, 3, 1])), Some(Linkage::Dynamic));
        assert_eq!(linkage_of(&elf(&[1, 2])), Some(Linkage::Static));
        assert_eq!(linkage_of(b"#!/bin/sh\n"), None);
        let cut = elf(&[1, 3]);
        assert_eq!(linkage_of(&cut[..100]), None);
    }
}
