"""Dispatch notes: SORTDN makes them, SORTDS moves them on, SORTDC cancels, SORTNC invoices, SORQDN and SORQDL show them.

Source: syspro-objects.md section 9, and the vendor's 7.0 schemas of these objects.
"""
