package lifecycle

// The storage classes that a transition can lead to, in the order in which it can lead
// (S3 user guide, "Transitioning objects using Amazon S3 Lifecycle").
const (
	standardIA         = "STANDARD_IA"
	intelligentTiering = "INTELLIGENT_TIERING"
	onezoneIA          = "ONEZONE_IA"
	glacierIR          = "GLACIER_IR"
)

// rank returns a class's place in that order, and 0 for a class that no transition leads to.
func rank(class string) int {
	switch class {
	case standardIA:
		return 1
	case intelligentTiering:
		return 2
	case onezoneIA:
		return 3
	case glacierIR:
		return 4
	}
	return 0
}

// isArchive reports whether a class is one of AWS's archives, which do not exist here.
func isArchive(class string) bool { return class == "GLACIER" || class == "DEEP_ARCHIVE" }

// minimumDays returns how many days an object must have been stored, or noncurrent, before
// it moves to a class (S3 API reference, Transition).
func minimumDays(class string) int32 {
	if class == standardIA || class == onezoneIA {
		return 30
	}
	return 0
}

// smallest is the size in bytes below which an object does not move, unless the rule's
// filter names a size.
const smallest = 128 << 10
