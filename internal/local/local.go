// Package local is how programs of one machine reach the daemon: Unix sockets,
// and named pipes on Windows.
//
// Conn and Listener are concrete types, not interfaces: values are written to a
// Conn, and what nobody else can make, nobody can offer as a place of delivery.
package local
