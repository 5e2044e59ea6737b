package pack

// dictionary is the history with which zstd begins each text. It is a part of the format:
// a change is a new version of the audit log's files. It has the members of records in
// their order, and words of well-known clients; what is frequent comes last.
const dictionary = `
","encryptionContext":{"aws:s3:arn":"arn:aws:s3:::","keyId":"arn:aws:kms:us-east-1:","AWS::KMS::Key"
"serviceEventDetails":{"count":,"first":","last":","errorCodes":{"sourceIPAddresses":{"accessKeyIds":{
"type":"AWSService","invokedBy":"cloudfront.amazonaws.com"},"type":"AWSAccount","principalId":""
,"accountId":"ANONYMOUS_PRINCIPAL"}
"sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROA","arn":"arn:aws:iam::","accountId":""
,"userName":"
"attributes":{"creationDate":","mfaAuthenticated":"false"}},"type":"AssumedRole"
,"arn":"arn:aws:sts:::assumed-role/
"errorCode":"AccessDenied","errorMessage":"NoSuchKey","The specified key does not exist.","NoSuchBucket"
,"PreconditionFailed"
User: arn:aws:iam:::user/ is not authorized to perform: s3:ListBucket on resource: because no identity-based
 policy allows the action
"requestParameters":{"bucketName":","Host":","prefix":","delimiter":"/","list-type":"2","max-keys":"1000"
,"encoding-type":"url"
"versionId":","uploadId":","partNumber":"1","x-amz-copy-source":","x-amz-acl":"private","x-amz-tagging":"
,"uploads":"","acl":"","policy":""
"x-amz-server-side-encryption":"aws:kms","x-amz-server-side-encryption-aws-kms-key-id":"
,"x-amz-server-side-encryption":"AES256"
"userAgent":"[MinIO (linux; amd64) minio-go/v7.0.0 rclone/v1.70.0 restic/0.18.0 s3cmd S3 Browser Mozilla/5.0
 (X11; Linux x86_64)
[aws-sdk-js/3.0.0 ua/2.1 os/linux lang/js md/nodejs#22.0.0 api/s3#3.0.0 [aws-sdk-java/2.30.0 md/io#sync
 md/http#Apache md/internal
[aws-sdk-go-v2/1.40.0 ua/2.1 os/linux lang/go#1.26 md/GOOS#linux md/GOARCH#amd64 api/s3#1.90.0 m/E,b,Z]","
[Boto3/1.40.0 md/Botocore#1.40.0 ua/2.1 os/linux#6.8.0-generic md/arch#x86_64 lang/python#3.13.0
 md/pyimpl#CPython m/N,e,b,D,Z cfg/retry-mode#legacy Botocore/1.40.0]","
[aws-cli/2.31.0 md/awscrt#0.28.0 ua/2.1 os/linux md/distrib#ubuntu.24 exec-env/AWS_ECS_FARGATE exe/x86_64
 cfg/retry-mode#standard md/prompt#off md/command#s3.cp]","
{"eventVersion":"1.11","userIdentity":{"type":"Root","principalId":"","type":"IAMUser","principalId":"AIDA"
,"arn":"arn:aws:iam:::root:user/","accountId":"","accessKeyId":"AKIA","userName":"
"eventTime":"2026-12-01T00:00:00Z","eventSource":"iam.amazonaws.com","eventSource":"sts.amazonaws.com"
,"eventSource":"kms.amazonaws.com"
","eventSource":"s3.amazonaws.com","eventName":"DeleteObject","eventName":"ListObjects"
,"eventName":"HeadObject","eventName":"PutObject","eventName":"GetObject"
","awsRegion":"us-east-1","sourceIPAddress":"127.0.0.1","userAgent":"[","requestParameters":{"bucketName":""
,"key":"","Host":"},"responseElements":{"
"responseElements":null,"additionalEventData":{"SignatureVersion":"SigV4"
,"CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"SSEApplied":"SSE_S3"
,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"","bytesTransferredOut":
,"SSEApplied":"Default_SSE_S3","AuthenticationMethod":"QueryString"},"requestID":"","eventID":""
,"readOnly":false,"resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::
"},{"accountId":"","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::"}],"eventType":"AwsApiCall"
,"managementEvent":true,"eventCategory":"Management","readOnly":true,
"eventType":"AwsApiCall","managementEvent":false,"eventCategory":"Data","recipientAccountId":""
,"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"}}
`
