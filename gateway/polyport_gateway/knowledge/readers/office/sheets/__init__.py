"""What the spreadsheet readers share: a sheet's values, its tables, and how a number is shown."""
