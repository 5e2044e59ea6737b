// Package limit bounds the memory of one process: Cache bounds what is kept between
// requests, and Memory what requests hold while their documents are read. It exists so that
// neither grows with what clients send. Collector bounds what is no longer used, and Pace
// how fast background work reads. The package must never know what it counts.
package limit
