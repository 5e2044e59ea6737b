package fault

import (
	_ "embed"
	"strconv"
	"strings"
)

// Code is AWS's code for an error (S3 API reference, "Error responses"; IAM, STS
// and KMS API references, "Common errors" and the errors of each operation).
type Code string

// The codes. codes.txt has their statuses and sentences, in the same order.
const (
	AccessControlListNotSupported              Code = "AccessControlListNotSupported"
	AccessDenied                               Code = "AccessDenied"
	AccessDeniedException                      Code = "AccessDeniedException"
	AccessForbidden                            Code = "AccessForbidden"
	AlreadyExistsException                     Code = "AlreadyExistsException"
	AuthorizationHeaderMalformed               Code = "AuthorizationHeaderMalformed"
	AuthorizationQueryParametersError          Code = "AuthorizationQueryParametersError"
	BadDigest                                  Code = "BadDigest"
	BadRequest                                 Code = "BadRequest"
	BucketAlreadyExists                        Code = "BucketAlreadyExists"
	BucketAlreadyOwnedByYou                    Code = "BucketAlreadyOwnedByYou"
	BucketNotEmpty                             Code = "BucketNotEmpty"
	ConditionalRequestConflict                 Code = "ConditionalRequestConflict"
	ConflictException                          Code = "ConflictException"
	DeleteConflict                             Code = "DeleteConflict"
	DependencyTimeoutException                 Code = "DependencyTimeoutException"
	DisabledException                          Code = "DisabledException"
	DryRunOperationException                   Code = "DryRunOperationException"
	EntityAlreadyExists                        Code = "EntityAlreadyExists"
	EntityTooLarge                             Code = "EntityTooLarge"
	EntityTooSmall                             Code = "EntityTooSmall"
	ExpiredImportTokenException                Code = "ExpiredImportTokenException"
	ExpiredToken                               Code = "ExpiredToken"
	ExpiredTokenException                      Code = "ExpiredTokenException"
	IDPCommunicationError                      Code = "IDPCommunicationError"
	IDPRejectedClaim                           Code = "IDPRejectedClaim"
	IllegalLocationConstraintException         Code = "IllegalLocationConstraintException"
	IllegalVersioningConfigurationException    Code = "IllegalVersioningConfigurationException"
	IncompleteBody                             Code = "IncompleteBody"
	IncompleteSignature                        Code = "IncompleteSignature"
	IncompleteSignatureException               Code = "IncompleteSignatureException"
	IncorrectKeyException                      Code = "IncorrectKeyException"
	IncorrectKeyMaterialException              Code = "IncorrectKeyMaterialException"
	IncorrectNumberOfFilesInPostRequest        Code = "IncorrectNumberOfFilesInPostRequest"
	InsufficientStorage                        Code = "InsufficientStorage"
	InternalError                              Code = "InternalError"
	InternalFailure                            Code = "InternalFailure"
	InvalidAccessKeyId                         Code = "InvalidAccessKeyId"
	InvalidAction                              Code = "InvalidAction"
	InvalidAliasNameException                  Code = "InvalidAliasNameException"
	InvalidArgument                            Code = "InvalidArgument"
	InvalidArnException                        Code = "InvalidArnException"
	InvalidAuthenticationCode                  Code = "InvalidAuthenticationCode"
	InvalidBucketAclWithBlockPublicAccessError Code = "InvalidBucketAclWithBlockPublicAccessError"
	InvalidBucketAclWithObjectOwnership        Code = "InvalidBucketAclWithObjectOwnership"
	InvalidBucketName                          Code = "InvalidBucketName"
	InvalidBucketOwnerAWSAccountID             Code = "InvalidBucketOwnerAWSAccountID"
	InvalidBucketState                         Code = "InvalidBucketState"
	InvalidChunkSizeError                      Code = "InvalidChunkSizeError"
	InvalidCiphertextException                 Code = "InvalidCiphertextException"
	InvalidClientTokenId                       Code = "InvalidClientTokenId"
	InvalidDigest                              Code = "InvalidDigest"
	InvalidEncryptionAlgorithmError            Code = "InvalidEncryptionAlgorithmError"
	InvalidGrantIdException                    Code = "InvalidGrantIdException"
	InvalidGrantTokenException                 Code = "InvalidGrantTokenException"
	InvalidIdentityToken                       Code = "InvalidIdentityToken"
	InvalidImportTokenException                Code = "InvalidImportTokenException"
	InvalidInput                               Code = "InvalidInput"
	InvalidKeyUsageException                   Code = "InvalidKeyUsageException"
	InvalidLocationConstraint                  Code = "InvalidLocationConstraint"
	InvalidMarkerException                     Code = "InvalidMarkerException"
	InvalidParameterValue                      Code = "InvalidParameterValue"
	InvalidPart                                Code = "InvalidPart"
	InvalidPartNumber                          Code = "InvalidPartNumber"
	InvalidPartOrder                           Code = "InvalidPartOrder"
	InvalidPolicyDocument                      Code = "InvalidPolicyDocument"
	InvalidRange                               Code = "InvalidRange"
	InvalidRedirectLocation                    Code = "InvalidRedirectLocation"
	InvalidRequest                             Code = "InvalidRequest"
	InvalidSignatureException                  Code = "InvalidSignatureException"
	InvalidStorageClass                        Code = "InvalidStorageClass"
	InvalidTag                                 Code = "InvalidTag"
	InvalidToken                               Code = "InvalidToken"
	InvalidURI                                 Code = "InvalidURI"
	KMSDisabledException                       Code = "KMS.DisabledException"
	KMSInvalidKeyUsageException                Code = "KMS.InvalidKeyUsageException"
	KMSKMSInvalidStateException                Code = "KMS.KMSInvalidStateException"
	KMSNotFoundException                       Code = "KMS.NotFoundException"
	KMSInternalException                       Code = "KMSInternalException"
	KMSInvalidStateException                   Code = "KMSInvalidStateException"
	KeyTooLongError                            Code = "KeyTooLongError"
	KeyUnavailableException                    Code = "KeyUnavailableException"
	LimitExceeded                              Code = "LimitExceeded"
	LimitExceededException                     Code = "LimitExceededException"
	MalformedACLError                          Code = "MalformedACLError"
	MalformedInput                             Code = "MalformedInput"
	MalformedPOSTRequest                       Code = "MalformedPOSTRequest"
	MalformedPolicy                            Code = "MalformedPolicy"
	MalformedPolicyDocument                    Code = "MalformedPolicyDocument"
	MalformedPolicyDocumentException           Code = "MalformedPolicyDocumentException"
	MalformedTrailerError                      Code = "MalformedTrailerError"
	MalformedXML                               Code = "MalformedXML"
	MaxMessageLengthExceeded                   Code = "MaxMessageLengthExceeded"
	MaxPostPreDataLengthExceededError          Code = "MaxPostPreDataLengthExceededError"
	MetadataTooLarge                           Code = "MetadataTooLarge"
	MethodNotAllowed                           Code = "MethodNotAllowed"
	MissingAction                              Code = "MissingAction"
	MissingAuthenticationToken                 Code = "MissingAuthenticationToken"
	MissingAuthenticationTokenException        Code = "MissingAuthenticationTokenException"
	MissingContentLength                       Code = "MissingContentLength"
	MissingParameter                           Code = "MissingParameter"
	MissingRequestBodyError                    Code = "MissingRequestBodyError"
	MissingSecurityHeader                      Code = "MissingSecurityHeader"
	NoSuchBucket                               Code = "NoSuchBucket"
	NoSuchBucketPolicy                         Code = "NoSuchBucketPolicy"
	NoSuchCORSConfiguration                    Code = "NoSuchCORSConfiguration"
	NoSuchConfiguration                        Code = "NoSuchConfiguration"
	NoSuchEntity                               Code = "NoSuchEntity"
	NoSuchKey                                  Code = "NoSuchKey"
	NoSuchLifecycleConfiguration               Code = "NoSuchLifecycleConfiguration"
	NoSuchObjectLockConfiguration              Code = "NoSuchObjectLockConfiguration"
	NoSuchPublicAccessBlockConfiguration       Code = "NoSuchPublicAccessBlockConfiguration"
	NoSuchTagSet                               Code = "NoSuchTagSet"
	NoSuchUpload                               Code = "NoSuchUpload"
	NoSuchVersion                              Code = "NoSuchVersion"
	NoSuchWebsiteConfiguration                 Code = "NoSuchWebsiteConfiguration"
	NotFoundException                          Code = "NotFoundException"
	NotImplemented                             Code = "NotImplemented"
	NotModified                                Code = "NotModified"
	ObjectLockConfigurationNotFoundError       Code = "ObjectLockConfigurationNotFoundError"
	OperationAborted                           Code = "OperationAborted"
	OwnershipControlsNotFoundError             Code = "OwnershipControlsNotFoundError"
	PackedPolicyTooLarge                       Code = "PackedPolicyTooLarge"
	PreconditionFailed                         Code = "PreconditionFailed"
	ReplicationConfigurationNotFoundError      Code = "ReplicationConfigurationNotFoundError"
	ReportExpired                              Code = "ReportExpired"
	ReportNotPresent                           Code = "ReportNotPresent"
	RequestEntityTooLarge                      Code = "RequestEntityTooLarge"
	RequestHeaderSectionTooLarge               Code = "RequestHeaderSectionTooLarge"
	RequestTimeTooSkewed                       Code = "RequestTimeTooSkewed"
	RequestTimeout                             Code = "RequestTimeout"
	SerializationException                     Code = "SerializationException"
	ServiceFailure                             Code = "ServiceFailure"
	ServiceUnavailable                         Code = "ServiceUnavailable"
	SignatureDoesNotMatch                      Code = "SignatureDoesNotMatch"
	SlowDown                                   Code = "SlowDown"
	TagException                               Code = "TagException"
	TooManyBuckets                             Code = "TooManyBuckets"
	UnexpectedContent                          Code = "UnexpectedContent"
	UnknownOperationException                  Code = "UnknownOperationException"
	UnrecognizedClientException                Code = "UnrecognizedClientException"
	UnsupportedOperationException              Code = "UnsupportedOperationException"
	UserKeyMustBeSpecified                     Code = "UserKeyMustBeSpecified"
	ValidationError                            Code = "ValidationError"
	ValidationException                        Code = "ValidationException"
	XAmzContentSHA256Mismatch                  Code = "XAmzContentSHA256Mismatch"
)

// codes has a line for each code: its HTTP status and its sentence, or "-" if
// every use of the code has its own sentence.
//
//go:embed codes.txt
var codes string

// entry returns a code's kind and sentence. A code without a line is internal.
func (c Code) entry() (Kind, string) {
	for rest := codes; ; {
		i := strings.Index(rest, string(c))
		if i < 0 || c == "" {
			return KindInternal, ""
		}
		after, ok := strings.CutPrefix(rest[i+len(c):], " ")
		if starts := i == 0 || rest[i-1] == '\n'; ok && starts {
			status, sentence, _ := strings.Cut(after, " ")
			sentence, _, _ = strings.Cut(sentence, "\n")
			if sentence == "-" {
				sentence = ""
			}
			return kindOf(status), sentence
		}
		rest = rest[i+len(c):]
	}
}

// kindOf returns the kind with a status.
func kindOf(status string) Kind {
	n, err := strconv.Atoi(status)
	for k := KindInternal; err == nil && k <= KindGone; k++ {
		if k.Status() == n {
			return k
		}
	}
	return KindInternal
}
