"""What pages say in words and columns; pure, no Streamlit."""
