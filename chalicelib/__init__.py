"""SyncBoard's background-job service: the code that every Lambda function, and the laptop, runs."""

VERSION = "0.1.0"
