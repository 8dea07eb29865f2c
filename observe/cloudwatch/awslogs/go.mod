module github.com/handrail-go/handrail/observe/cloudwatch/awslogs

go 1.26.0

replace github.com/handrail-go/handrail => ../../../

require (
	github.com/aws/aws-sdk-go-v2 v1.48.0
	github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs v1.92.1
	github.com/aws/smithy-go v1.28.9
	github.com/handrail-go/handrail v0.0.0
)

require (
	github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream v1.7.26 // indirect
	github.com/aws/aws-sdk-go-v2/internal/configsources v1.5.11 // indirect
	github.com/aws/aws-sdk-go-v2/internal/endpoints/v2 v2.8.11 // indirect
	golang.org/x/time v0.16.0 // indirect
)
