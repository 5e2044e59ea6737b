package shape

// The outputs of operations that read what cannot be configured yet: AWS's answer for
// "none", or the actual default.

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

// AnalyticsConfigurations is the output of ListBucketAnalyticsConfigurations.
type AnalyticsConfigurations struct {
	_           struct{} `root:"ListBucketAnalyticsConfigurationResult"`
	IsTruncated bool     `emit:"always"`
}

// InventoryConfigurations is the output of ListBucketInventoryConfigurations.
type InventoryConfigurations struct {
	_           struct{} `root:"ListInventoryConfigurationsResult"`
	IsTruncated bool     `emit:"always"`
}

// MetricsConfigurations is the output of ListBucketMetricsConfigurations.
type MetricsConfigurations struct {
	_           struct{} `root:"ListMetricsConfigurationsResult"`
	IsTruncated bool     `emit:"always"`
}

// TieringConfigurations is the output of
// ListBucketIntelligentTieringConfigurations.
type TieringConfigurations struct {
	_           struct{} `root:"ListBucketIntelligentTieringConfigurationsOutput"`
	IsTruncated bool     `emit:"always"`
}

// AccessPoints is the output of ListAccessPoints.
type AccessPoints struct {
	_               struct{}   `root:"ListAccessPointsResult" ns:"http://awss3control.amazonaws.com/doc/2018-08-20/"`
	AccessPointList []struct{} `xml:"AccessPointList>AccessPoint" emit:"always"`
}

// MultiRegionAccessPoints is the output of ListMultiRegionAccessPoints.
type MultiRegionAccessPoints struct {
	_            struct{}   `root:"ListMultiRegionAccessPointsResult" ns:"http://awss3control.amazonaws.com/doc/2018-08-20/"`
	AccessPoints []struct{} `xml:"AccessPoints>AccessPoint" emit:"always"`
}
