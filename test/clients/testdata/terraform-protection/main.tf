# A bucket whose versions nobody deletes without a code, and one whose versions are locked.
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

# The serial number of root's device, a blank, and a code of it.
variable "mfa" {
  type      = string
  sensitive = true
}

variable "mfa_delete" {
  type = string
}

resource "aws_s3_bucket" "ledger" {
  bucket = "terraform-ledger"
}

resource "aws_s3_bucket_versioning" "ledger" {
  bucket = aws_s3_bucket.ledger.id
  mfa    = var.mfa
  versioning_configuration {
    status     = "Enabled"
    mfa_delete = var.mfa_delete
  }
}

resource "aws_s3_bucket" "archive" {
  bucket              = "terraform-archive"
  object_lock_enabled = true
}

resource "aws_s3_bucket_object_lock_configuration" "archive" {
  bucket = aws_s3_bucket.archive.id
  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = 30
    }
  }
}
