"""The routes of the pages, one module per part of the site."""
