//! Namespaces of a box: flags, id maps, loopback, host name.
