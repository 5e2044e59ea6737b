# Users, roles, policies and a bucket, as a team would write them down.
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

data "aws_caller_identity" "me" {}

resource "aws_s3_bucket" "uploads" {
  bucket        = "terraform-uploads"
  force_destroy = true
  tags          = { team = "shop" }
}

resource "aws_s3_bucket_versioning" "uploads" {
  bucket = aws_s3_bucket.uploads.id
  versioning_configuration { status = "Enabled" }
}

resource "aws_s3_object" "hello" {
  bucket  = aws_s3_bucket.uploads.id
  key     = "hello.txt"
  content = "hello"
}

data "aws_iam_policy_document" "upload" {
  statement {
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.uploads.arn}/*"]
  }
}

resource "aws_iam_policy" "upload" {
  name        = "upload"
  path        = "/shop/"
  description = "May put objects and nothing else."
  policy      = data.aws_iam_policy_document.upload.json
  tags        = { team = "shop" }
}

resource "aws_iam_user" "app" {
  name = "app"
  path = "/shop/"
  tags = { team = "shop" }
}

resource "aws_iam_access_key" "app" {
  user = aws_iam_user.app.name
}

resource "aws_iam_user_policy" "app" {
  name   = "upload"
  user   = aws_iam_user.app.name
  policy = data.aws_iam_policy_document.upload.json
}

resource "aws_iam_group" "apps" {
  name = "apps"
}

resource "aws_iam_group_policy_attachment" "apps" {
  group      = aws_iam_group.apps.name
  policy_arn = aws_iam_policy.upload.arn
}

resource "aws_iam_user_group_membership" "app" {
  user   = aws_iam_user.app.name
  groups = [aws_iam_group.apps.name]
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [aws_iam_user.app.arn]
    }
  }
}

resource "aws_iam_role" "uploader" {
  name                 = "uploader"
  path                 = "/shop/"
  description          = "Uploads."
  max_session_duration = 7200
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  tags                 = { team = "shop" }
}

resource "aws_iam_role_policy" "uploader" {
  name   = "upload"
  role   = aws_iam_role.uploader.name
  policy = data.aws_iam_policy_document.upload.json
}

resource "aws_iam_role_policy_attachment" "uploader" {
  role       = aws_iam_role.uploader.name
  policy_arn = aws_iam_policy.upload.arn
}

resource "aws_iam_openid_connect_provider" "pipelines" {
  url             = "https://token.actions.githubusercontent.com"
  client_id_list  = ["sts.amazonaws.com"]
  thumbprint_list = ["6938fd4d98bab03faadb97b34396831e3780aea1"]
}

output "key" {
  value     = "${aws_iam_access_key.app.id} ${aws_iam_access_key.app.secret}"
  sensitive = true
}

output "role" { value = aws_iam_role.uploader.arn }

output "account" { value = data.aws_caller_identity.me.account_id }
