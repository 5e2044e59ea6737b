package shape

// The outputs of operations that read what cannot be configured yet: AWS's
// answer for "none", or the truth about the default.

// BucketLoggingStatus is the output of GetBucketLogging.
type BucketLoggingStatus struct {
	_ struct{} `root:"BucketLoggingStatus"`
}

// NotificationConfiguration is the output of GetBucketNotificationConfiguration.
type NotificationConfiguration struct {
	_ struct{} `root:"NotificationConfiguration"`
}

// AccelerateConfiguration is the output of GetBucketAccelerateConfiguration.
type AccelerateConfiguration struct {
	_      struct{} `root:"AccelerateConfiguration"`
	Status string
}
