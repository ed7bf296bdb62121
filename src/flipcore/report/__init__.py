"""The report of finished runs: one self-contained page, and its charts as files."""

from flipcore.report.page import Report, make_report, write_report

__all__ = ["Report", "make_report", "write_report"]
