//! Drops what root could undo a sandbox with.

use crate::platform::machine_fault::at;
use rustix::io::Errno;
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, remove_capability_from_bounding_set,
    set_capabilities, set_capabilities_secure_bits, set_no_new_privs,
};
use std::io;

/// Drops all capabilities, also those that root gets back by starting a program, and those that a program file has.
pub fn drop_all() -> io::Result<()> {
    let step = "dropping capabilities";
    let bits = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
    match set_capabilities_secure_bits(bits) {
        // An ordinary user has none to drop.
        Err(Errno::PERM) => {}
        set => set.map_err(at(step))?,
    }
    for capability in CapabilitySet::all().iter() {
        // One that this kernel does not have, or that may not be dropped as there is none.
        let _ = remove_capability_from_bounding_set(capability);
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).map_err(at(step))?;
    set_no_new_privs(true).map_err(at(step))
}
