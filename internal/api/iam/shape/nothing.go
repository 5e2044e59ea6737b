package shape

// ListNothingInput is the input of listings of resources that accounts don't have here.
type ListNothingInput struct {
	PathPrefix string `valid:"1..512 policyPath"`
	Marker     string `valid:"1..320 marker"`
	MaxItems   *int   `valid:"1..1000"`
}

// NothingInput names a resource that accounts don't have here.
type NothingInput struct {
	InstanceProfileName   string `valid:"1..128 name"`
	ServerCertificateName string `valid:"1..128 name"`
	SAMLProviderArn       string `valid:"20..2048"`
	Marker                string `valid:"1..320 marker"`
	MaxItems              *int   `valid:"1..1000"`
}

// NothingOutput is an empty page of a listing of resources that don't exist here.
type NothingOutput struct {
	ServiceSpecificCredentials    []Empty
	Certificates                  []Empty
	SSHPublicKeys                 []Empty
	InstanceProfiles              []Empty
	ServerCertificateMetadataList []Empty
	SAMLProviderList              []Empty
	IsTruncated                   bool
}

// ListOrganizationsFeaturesOutput is the output of ListOrganizationsFeatures.
type ListOrganizationsFeaturesOutput struct{ EnabledFeatures []string }
