# A key of the customer's, and a bucket whose objects are under it by default.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  s3_use_path_style           = true
  skip_region_validation      = true
  skip_metadata_api_check     = true
  skip_credentials_validation = false
}

resource "aws_kms_key" "records" {
  description             = "Records of patients."
  deletion_window_in_days = 7
}

resource "aws_s3_bucket" "records" {
  bucket        = "terraform-records"
  force_destroy = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "records" {
  bucket = aws_s3_bucket.records.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.records.arn
    }
    bucket_key_enabled = true
  }
}

resource "aws_s3_object" "by_default" {
  depends_on = [aws_s3_bucket_server_side_encryption_configuration.records]
  bucket     = aws_s3_bucket.records.id
  key        = "by-default"
  content    = "a record"
}

resource "aws_s3_object" "named" {
  bucket                 = aws_s3_bucket.records.id
  key                    = "named"
  content                = "another record"
  server_side_encryption = "aws:kms"
  kms_key_id             = aws_kms_key.records.arn
}

output "key" { value = aws_kms_key.records.arn }
