// Package sealedfs is the file system of the embedded engine: every file that Pebble writes
// through it is ciphertext on the disk, bound to its kind, its number and a random id, so
// that no file can be read, changed, exchanged or replaced by an older one without the
// store's key. It must never know what the files mean: it knows their names and the order in
// which they are written, nothing of tables, batches or versions.
//
// Three kinds of files exist (docs/FORMAT.md has the bytes):
//
//   - Tables and blobs, and files without a number such as OPTIONS, are written once and read
//     anywhere. They are chunks of 4 KiB.
//   - Logs and manifests grow with every commit. They are frames, one for each write. A frame
//     tells how many frames were durable before it, so a reader tells a torn end, which a power
//     cut may leave, from damage.
//   - Markers and the lock are empty. They pass through, and must stay empty.
//
// A manifest's frames also carry the ids of the tables and blobs of its folder, the
// catalogue. A table is opened only if it has the id that the current manifest's catalogue
// gives to its number.
package sealedfs
