package shape

import "time"

// GenerateLastAccessedInput is the input of GenerateServiceLastAccessedDetails.
type GenerateLastAccessedInput struct {
	Arn         string `valid:"required 20..2048"`
	Granularity string `valid:"SERVICE_LEVEL|ACTION_LEVEL"`
}

// GenerateLastAccessedOutput is the output of GenerateServiceLastAccessedDetails.
type GenerateLastAccessedOutput struct{ JobId string }

// GetLastAccessedInput is the input of GetServiceLastAccessedDetails.
type GetLastAccessedInput struct {
	JobId    string `valid:"required 36..36"`
	Marker   string `valid:"1..320 marker"`
	MaxItems *int   `valid:"1..1000"`
}

// GetLastAccessedOutput is the output of GetServiceLastAccessedDetails.
type GetLastAccessedOutput struct {
	JobStatus            string
	JobType              string
	JobCreationDate      time.Time
	JobCompletionDate    time.Time
	ServicesLastAccessed []ServiceLastAccessed
	IsTruncated          bool
	Marker               string
}

// ServiceLastAccessed is when a service was last used. The date is absent if it never was.
type ServiceLastAccessed struct {
	ServiceName                string
	ServiceNamespace           string
	LastAuthenticated          time.Time
	LastAuthenticatedEntity    string
	TotalAuthenticatedEntities int
}
